#include "formats/pickle/numbers.h"

#include <charconv>
#include <cstdint>
#include <limits>

#include "src/core/text.h"

namespace ferry::pickle {
namespace {

constexpr std::size_t kDigitsMax = 10'000;  // the conversion is quadratic; Python itself stops at 4,300

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::optional<std::uint32_t> parse_hex(std::string_view digits) {
  std::uint32_t value = 0;
  const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (digits.empty() || end.ec != std::errc() || end.ptr != digits.data() + digits.size())
    return std::nullopt;
  return value;
}

char simple_escape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'a':
      return '\a';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'v':
      return '\v';
    default:
      return c;  // \\ \' \"
  }
}

// Undoes the escape that starts after the backslash at `at`; advances `at` past it; false when it is wrong.
bool undo_escape(std::string_view text, std::size_t& at, std::string& out) {
  if (at >= text.size()) return false;
  const char c = text[at++];
  if (c == 'x') {
    const auto value = at + 2 <= text.size() ? parse_hex(text.substr(at, 2)) : std::nullopt;
    if (!value) return false;
    out += static_cast<char>(*value);
    at += 2;
  } else if (c >= '0' && c <= '7') {
    unsigned value = static_cast<unsigned>(c - '0');
    for (int i = 0; i < 2 && at < text.size() && text[at] >= '0' && text[at] <= '7'; ++i)
      value = value * 8 + static_cast<unsigned>(text[at++] - '0');
    out += static_cast<char>(value & 0xff);
  } else if (std::string_view("\\'\"nrtabfv").find(c) != std::string_view::npos) {
    out += simple_escape(c);
  } else {
    out += '\\';  // Python keeps what it does not know
    out += c;
  }
  return true;
}

}  // namespace

std::optional<std::vector<std::byte>> parse_integer(std::string_view text) {
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  if (text.empty() || text.size() > kDigitsMax) return std::nullopt;
  std::vector<std::uint32_t> words;  // magnitude, least word first
  for (const char c : text) {
    if (!is_digit(c)) return std::nullopt;
    std::uint64_t carry = static_cast<std::uint64_t>(c - '0');
    for (std::uint32_t& word : words) {
      carry += std::uint64_t{word} * 10;
      word = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
    if (carry != 0) words.push_back(static_cast<std::uint32_t>(carry));
  }
  words.push_back(0);  // room for the sign
  if (negative) {
    std::uint64_t carry = 1;
    for (std::uint32_t& word : words) {
      carry += static_cast<std::uint32_t>(~word);
      word = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
  }
  std::vector<std::byte> octets(words.size() * 4);
  for (std::size_t i = 0; i < words.size(); ++i) store_le(octets.data() + 4 * i, words[i]);
  return octets;
}

std::optional<double> parse_real(std::string_view text) {
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  double value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end.ptr != text.data() + text.size() || text.empty()) return std::nullopt;
  if (end.ec == std::errc::result_out_of_range) {
    // from_chars leaves the value alone: too large is infinity, too small is zero, as Python has it.
    const bool small = text.find("e-") != std::string_view::npos || text.find("E-") != std::string_view::npos;
    const double size = small ? 0.0 : std::numeric_limits<double>::infinity();
    return text[0] == '-' ? -size : size;
  }
  if (end.ec != std::errc()) return std::nullopt;
  return value;
}

std::optional<std::string> parse_string_literal(std::string_view text) {
  if (text.size() < 2 || (text.front() != '\'' && text.front() != '"') || text.back() != text.front())
    return std::nullopt;
  const std::string_view body = text.substr(1, text.size() - 2);
  std::string out;
  for (std::size_t at = 0; at < body.size();) {
    if (body[at] != '\\') {
      out += body[at++];
      continue;
    }
    ++at;
    if (!undo_escape(body, at, out)) return std::nullopt;
  }
  return out;
}

std::optional<std::string> parse_raw_unicode_escape(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const bool escape =
        text[at] == '\\' && at + 1 < text.size() && (text[at + 1] == 'u' || text[at + 1] == 'U');
    if (!escape) {
      append_utf8(out, static_cast<unsigned char>(text[at++]));
      continue;
    }
    const std::size_t width = text[at + 1] == 'u' ? 4 : 8;
    const auto value = at + 2 + width <= text.size() ? parse_hex(text.substr(at + 2, width)) : std::nullopt;
    if (!value || *value > 0x10ffff) return std::nullopt;
    append_utf8(out, *value);
    at += 2 + width;
  }
  return out;
}

}  // namespace ferry::pickle
