#include "validators/replay/events.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>

#include "src/core/text.h"

namespace ferry::replay {
namespace {

std::string quoted(std::string_view text) {
  const std::string clean = is_utf8(text, false) ? std::string(text) : latin1_to_utf8(text);
  std::string out = "\"";
  for (const char c : clean) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      out += "\\u00";
      out += kDigits[byte >> 4];
      out += kDigits[byte & 0xf];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace

void JsonObject::begin(std::string_view name) {
  if (!members_.empty()) members_ += ",";
  members_ += quoted(name) + ":";
}

JsonObject& JsonObject::text(std::string_view name, std::string_view value) {
  begin(name);
  members_ += quoted(value);
  return *this;
}

JsonObject& JsonObject::number(std::string_view name, std::int64_t value) {
  begin(name);
  members_ += std::to_string(value);
  return *this;
}

JsonObject& JsonObject::real(std::string_view name, double value) {
  begin(name);
  members_ += std::isfinite(value) ? real_text(value) : "null";
  return *this;
}

JsonObject& JsonObject::truth(std::string_view name, bool value) {
  begin(name);
  members_ += value ? "true" : "false";
  return *this;
}

void tell(const JsonObject& event) {
  const std::string line = event.finished() + "\n";
  std::string_view left = line;
  while (!left.empty()) {
    const ssize_t count = ::write(STDOUT_FILENO, left.data(), left.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return;  // nobody listens any more
    left.remove_prefix(static_cast<std::size_t>(count));
  }
}

void tell_error(const Error& error) {
  std::string where;
  for (const std::string& place : error.where()) where += (where.empty() ? "" : "; ") + place;
  tell(JsonObject()
           .text("event", "error")
           .text("code", code_name(error.code()))
           .text("what", error.summary())
           .text("where", where)
           .text("file", error.file())
           .text("hint", error.hint()));
}

}  // namespace ferry::replay
