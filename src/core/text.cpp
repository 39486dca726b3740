#include "src/core/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace ferry {
namespace {

// Decodes one code point at `at`; returns its length in bytes, or 0 when the bytes are no UTF-8.
std::size_t decode_one(std::string_view text, std::size_t at, bool surrogates_allowed, std::uint32_t& point) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) {
    point = lead;
    return 1;
  }
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 0;
  if (length == 0 || lead > 0xf4 || text.size() - at < length) return 0;
  std::uint32_t value = lead & (0xffu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    value = (value << 6) | (byte(i) & 0x3fu);
  }
  static constexpr std::array<std::uint32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kLeast[length] || value > 0x10ffff) return 0;
  if (value >= 0xd800 && value <= 0xdfff && !surrogates_allowed) return 0;
  point = value;
  return length;
}

// What must not reach a terminal as it is: C0, DEL, C1, surrogates, line and paragraph separators, bidi
// controls.
bool steers_terminal(std::uint32_t point) {
  return point < 0x20 || (point >= 0x7f && point < 0xa0) || (point >= 0xd800 && point <= 0xdfff) ||
         point == 0x61c || (point >= 0x200b && point <= 0x200f) || (point >= 0x2028 && point <= 0x202e) ||
         (point >= 0x2066 && point <= 0x2069) || point == 0xfeff;
}

void append_escape(std::string& out, std::uint32_t point) {
  char buffer[16];
  switch (point) {
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  std::snprintf(buffer, sizeof buffer, point < 0x100 ? "\\x%02x" : "\\u%04x", point);
  out += buffer;
}

bool class_matches(std::string_view body, char c) {
  const bool negated = !body.empty() && (body[0] == '!' || body[0] == '^');
  if (negated) body.remove_prefix(1);
  bool found = false;
  for (std::size_t i = 0; i < body.size(); ++i) {
    if (i + 2 < body.size() && body[i + 1] == '-') {
      found = found || (body[i] <= c && c <= body[i + 2]);
      i += 2;
    } else {
      found = found || body[i] == c;
    }
  }
  return found != negated;
}

}  // namespace

bool is_utf8(std::string_view text, bool surrogates_allowed) {
  std::uint32_t point = 0;
  for (std::size_t at = 0; at < text.size();) {
    for (std::uint64_t eight = 0; text.size() - at >= 8; at += 8) {  // ASCII goes by in eights
      std::memcpy(&eight, text.data() + at, 8);
      if ((eight & 0x8080808080808080) != 0) break;
    }
    if (at == text.size()) break;
    const std::size_t length = decode_one(text, at, surrogates_allowed, point);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

void append_utf8(std::string& out, std::uint32_t point) {
  const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (point < 0x80) return put(point);
  if (point < 0x800) {
    put(0xc0 | (point >> 6));
  } else if (point < 0x10000) {
    put(0xe0 | (point >> 12));
    put(0x80 | ((point >> 6) & 0x3f));
  } else {
    put(0xf0 | (point >> 18));
    put(0x80 | ((point >> 12) & 0x3f));
    put(0x80 | ((point >> 6) & 0x3f));
  }
  put(0x80 | (point & 0x3f));
}

std::string latin1_to_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (const char c : bytes) append_utf8(out, static_cast<unsigned char>(c));
  return out;
}

bool utf8_to_latin1(std::string_view text, std::string& bytes) {
  bytes.clear();
  bytes.reserve(text.size());
  std::uint32_t point = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = decode_one(text, at, true, point);
    if (length == 0 || point > 0xff) return false;
    bytes += static_cast<char>(point);
    at += length;
  }
  return true;
}

std::string escape_for_terminal(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  std::uint32_t point = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = decode_one(text, at, true, point);
    if (length == 0) {
      append_escape(out, static_cast<unsigned char>(text[at]));
      ++at;
      continue;
    }
    if (steers_terminal(point))
      append_escape(out, point);
    else
      out += text.substr(at, length);
    at += length;
  }
  return out;
}

std::string quote(std::string_view text, std::size_t length_max) {
  std::string shown = escape_for_terminal(text);
  if (shown.size() > length_max) {
    std::size_t head = length_max * 2 / 3, tail = shown.size() - (length_max - head);
    while (head > 0 && (static_cast<unsigned char>(shown[head]) & 0xc0) == 0x80) --head;
    while (tail < shown.size() && (static_cast<unsigned char>(shown[tail]) & 0xc0) == 0x80) ++tail;
    shown = shown.substr(0, head) + "…" + shown.substr(tail);
  }
  return "'" + shown + "'";
}

std::string iec_size(std::uint64_t bytes) {
  static constexpr std::array<const char*, 7> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return buffer;
}

std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
  return digits;
}

std::string counted(std::uint64_t count, std::string_view noun) {
  return grouped(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

std::string listed(std::span<const std::string> names, std::size_t most) {
  constexpr std::size_t kNameMost = 80;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), most); ++i)
    text += (i > 0 ? ", " : "") + quote(names[i], kNameMost);
  if (names.size() > most) text += " and " + grouped(names.size() - most) + " more";
  return text;
}

std::string real_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  const double size = std::fabs(value);
  // Python's repr changes to exponents below 1e-4 and from 1e16 on.
  const bool plain = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value,
                                 plain ? std::chars_format::fixed : std::chars_format::scientific);
  std::string text(buffer, end.ptr);
  if (plain && text.find('.') == std::string::npos) text += ".0";
  return text;
}

bool glob_match(std::string_view pattern, std::string_view text) {
  // The usual two-pointer walk with one remembered star: linear in practice, no recursion.
  std::size_t p = 0, t = 0, star = std::string_view::npos, mark = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = t;
      continue;
    }
    if (p < pattern.size() && pattern[p] == '[') {
      const std::size_t close = pattern.find(']', p + 2);
      if (close != std::string_view::npos && class_matches(pattern.substr(p + 1, close - p - 1), text[t])) {
        p = close + 1;
        ++t;
        continue;
      }
      if (close == std::string_view::npos && text[t] == '[') {
        ++p;
        ++t;
        continue;
      }
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
      continue;
    }
    if (star == std::string_view::npos) return false;
    p = star + 1;
    t = ++mark;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace ferry
