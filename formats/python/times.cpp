// Dates, times, paths, identifiers and decimal numbers: all of them become text, time spans become seconds.
//
// Source: CPython's Lib/datetime.py (_getstate), Lib/pathlib.py (__reduce__), Lib/uuid.py, Lib/_pydecimal.py.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "formats/python/interpret.h"
#include "src/core/error.h"

namespace ferry::python {
namespace {

std::string state_octets(const Call& call, std::size_t size) {
  const auto value = call.arguments.empty() ? std::nullopt : octets(call.graph, call.arguments[0]);
  if (!value || value->size() != size)
    call.fail("has a state that is not " + std::to_string(size) + " bytes");
  return *value;
}

unsigned byte_of(const std::string& octets, std::size_t i) { return static_cast<unsigned char>(octets[i]); }

std::string date_text(const Call& call, const std::string& octets) {
  const unsigned year = byte_of(octets, 0) << 8 | byte_of(octets, 1), month = byte_of(octets, 2) & 0x7f,
                 day = byte_of(octets, 3);
  if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1 || day > 31)
    call.fail("holds no valid date");
  char text[32];
  std::snprintf(text, sizeof text, "%04u-%02u-%02u", year, month, day);
  return text;
}

std::string clock_text(const Call& call, const std::string& octets, std::size_t at) {
  const unsigned hour = byte_of(octets, at) & 0x7f, minute = byte_of(octets, at + 1),
                 second = byte_of(octets, at + 2);
  const unsigned micro =
      byte_of(octets, at + 3) << 16 | byte_of(octets, at + 4) << 8 | byte_of(octets, at + 5);
  if (hour > 23 || minute > 59 || second > 59 || micro > 999'999) call.fail("holds no valid time");
  char text[32];
  if (micro == 0)
    std::snprintf(text, sizeof text, "%02u:%02u:%02u", hour, minute, second);
  else
    std::snprintf(text, sizeof text, "%02u:%02u:%02u.%06u", hour, minute, second, micro);
  return text;
}

// "UTC+05:30", the text that a timezone became, as the offset of an ISO time; a zone with a name as RFC 9557
// has it.  What is no text is an object of another library.
std::string offset_text(Call& call) {
  if (call.arguments.size() < 2 || call.graph.kind(call.arguments[1]) == Kind::none) return "";
  const auto zone = call.graph.as_text(call.arguments[1]);
  if (!zone) {
    call.note(Code::lost_value, "the time zone of a " + call.class_name() + ", an object of another library");
    return "";
  }
  if (*zone == "UTC") return "+00:00";
  return zone->starts_with("UTC") ? std::string(zone->substr(3)) : "[" + std::string(*zone) + "]";
}

bool make_date_time(Call& call) {
  call.need_arguments(1, 2);
  const std::string octets = state_octets(call, 10);
  call.become_text(date_text(call, octets) + "T" + clock_text(call, octets, 4) + offset_text(call));
  call.note_data("ISO text");
  return true;
}

bool make_date(Call& call) {
  call.need_arguments(1, 1);
  call.become_text(date_text(call, state_octets(call, 4)));
  call.note_data("ISO text");
  return true;
}

bool make_time(Call& call) {
  call.need_arguments(1, 2);
  call.become_text(clock_text(call, state_octets(call, 6), 0) + offset_text(call));
  call.note_data("ISO text");
  return true;
}

bool make_time_delta(Call& call) {
  call.need_arguments(0, 3);
  double seconds = 0;
  static constexpr double kUnits[3] = {86400, 1, 1e-6};
  for (std::size_t i = 0; i < call.arguments.size(); ++i) {
    const auto part = call.graph.as_integer(call.arguments[i]);
    if (!part) call.fail("takes whole numbers");
    seconds += static_cast<double>(*part) * kUnits[i];
  }
  call.become(call.graph.make_real(seconds, call.graph.at(call.id)));
  call.note_data("seconds");
  return true;
}

bool make_time_zone(Call& call) {
  call.need_arguments(1, 2);
  if (call.graph.kind(call.arguments[0]) != Kind::real) call.fail("takes a timedelta");
  call.become_text(utc_offset_text(call, call.graph.real(call.arguments[0])));
  return true;
}

// Windows: a drive or a share stands before the root. Posix: nothing does.
std::size_t drive_size(std::string_view path, bool windows) {
  if (!windows) return 0;
  if (path.size() >= 2 && path[1] == ':') return 2;
  if (!path.starts_with("\\\\")) return 0;
  const std::size_t server = path.find('\\', 2);
  return std::min(server == std::string_view::npos ? path.size() : path.find('\\', server + 1), path.size());
}

// Parts joined as pathlib joins them; a part that starts at the root starts anew.
std::string joined_path(std::string path, std::string_view part, bool windows) {
  const char separator = windows ? '\\' : '/';
  const std::size_t drive = drive_size(part, windows);
  const bool rooted = drive < part.size() && part[drive] == separator;
  if (drive > 0 || (rooted && !windows)) return std::string(part);
  if (rooted) return path.substr(0, drive_size(path, windows)) + std::string(part);
  if (!path.empty() && path.back() != separator && drive_size(path, windows) != path.size())
    path += separator;
  return path + std::string(part);
}

// As str() has it: since 3.13 paths are pickled as they were given, with "." and repeated separators.
std::string normal_path(std::string_view path, bool windows) {
  const char separator = windows ? '\\' : '/';
  const std::size_t drive = drive_size(path, windows);
  std::string normal(path.substr(0, drive));
  path.remove_prefix(drive);
  if (path.starts_with(separator)) normal += separator;
  if (!windows && path.starts_with("//") && !path.starts_with("///")) normal += separator;
  bool first = true;
  while (!path.empty()) {
    const std::string_view part = path.substr(0, path.find(separator));
    path.remove_prefix(std::min(part.size() + 1, path.size()));
    if (part.empty() || part == ".") continue;
    if (!first) normal += separator;
    normal += part;
    first = false;
  }
  return normal.empty() ? "." : normal;
}

bool make_path(Call& call) {
  const bool windows = call.name().find("Windows") != std::string::npos;
  std::string path;
  for (const NodeId part : call.arguments) {
    const auto text = call.graph.as_text(part);
    if (!text) call.fail("takes texts");
    std::string own(*text);
    if (windows) std::replace(own.begin(), own.end(), '/', '\\');
    path = joined_path(std::move(path), own, windows);
  }
  call.become_text(normal_path(path, windows));
  call.note_data("text");
  return true;
}

bool make_uuid(Call& call) {
  const NodeId value = call.state == kNoNode ? kNoNode : call.graph.find(call.state, "int");
  if (value == kNoNode) call.fail("has no state with a number");
  std::string octets(16, '\0');
  if (call.graph.kind(value) == Kind::big_integer) {
    const std::string_view little = call.graph.text(value);
    for (std::size_t i = 0; i < little.size() && i < 16; ++i) octets[15 - i] = little[i];
  } else if (const auto small = call.graph.as_integer(value)) {
    for (std::size_t i = 0; i < 8; ++i) octets[15 - i] = static_cast<char>(*small >> (8 * i));
  } else {
    call.fail("has no state with a number");
  }
  std::string text;
  for (std::size_t i = 0; i < 16; ++i) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", byte_of(octets, i));
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += two;
  }
  call.become_text(text);
  call.note_data("text");
  return true;
}

// Decimal('1.5'), Fraction('1/3') or Fraction(1, 3).
bool make_number_text(Call& call) {
  call.need_arguments(1, 2);
  std::string text;
  for (const NodeId part : call.arguments) {
    if (!text.empty()) text += '/';
    if (const auto characters = call.graph.as_text(part))
      text += *characters;
    else if (call.graph.kind(part) == Kind::integer || call.graph.kind(part) == Kind::big_integer)
      text += call.graph.integer_text(part);
    else
      call.fail("takes a text or whole numbers");
  }
  call.become_text(text);
  call.note_data("text");
  return true;
}

}  // namespace

std::string utc_offset_text(const Call& call, double seconds) {
  if (!(seconds > -86'400 && seconds < 86'400)) call.fail("has an offset of more than a day");
  const auto whole = static_cast<int>(std::lround(seconds));
  if (whole == 0) return "UTC";
  const int size = whole < 0 ? -whole : whole;
  char text[32];
  std::snprintf(text, sizeof text, "UTC%c%02d:%02d", whole < 0 ? '-' : '+', size / 3600, size / 60 % 60);
  std::string out(text);
  if (size % 60 != 0) {  // local mean time, before zones
    std::snprintf(text, sizeof text, ":%02d", size % 60);
    out += text;
  }
  return out;
}

bool interpret_time_or_path(Call& call) {
  if (!call.known) return false;
  switch (call.known->role) {
    case Role::date_time:
      return make_date_time(call);
    case Role::date:
      return make_date(call);
    case Role::time:
      return make_time(call);
    case Role::time_delta:
      return make_time_delta(call);
    case Role::time_zone:
      return make_time_zone(call);
    case Role::path:
      return make_path(call);
    case Role::uuid:
      return make_uuid(call);
    case Role::decimal:
    case Role::fraction:
      return make_number_text(call);
    default:
      return false;
  }
}

}  // namespace ferry::python
