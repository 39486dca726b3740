#include "src/report/json.h"

#include <array>
#include <cassert>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "src/core/text.h"

namespace ferry::report {
namespace {

constexpr std::size_t kFlushAt = 64 << 10;

template <typename T>
void append_number(std::string& out, T number) {
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  out.append(digits.data(), end.ptr);
}

void append_unit(std::string& out, unsigned unit) {
  std::array<char, 8> escape;
  std::snprintf(escape.data(), escape.size(), "\\u%04x", unit);
  out += escape.data();
}

// The plain characters that most text consists of; everything else takes the slow path.
bool is_plain(char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; }

void append_control(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
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
      append_unit(out, static_cast<unsigned char>(c));
      return;
  }
}

// The length of the well-formed UTF-8 sequence at the start of `text`, or 0.
std::size_t sequence_length(std::string_view text) {
  for (std::size_t length = 2; length <= 4 && length <= text.size(); ++length)
    if (is_utf8(text.substr(0, length), false)) return length;
  return 0;
}

// The code point of a well-formed sequence; those above U+FFFF steer no terminal and are not asked for.
unsigned code_point(std::string_view sequence) {
  unsigned point = static_cast<unsigned char>(sequence[0]) & (0x7fu >> sequence.size());
  for (const char c : sequence.substr(1)) point = (point << 6) | (static_cast<unsigned char>(c) & 0x3fu);
  return point;
}

void append_sequence(std::string& out, std::string_view text, std::size_t& at) {
  const std::size_t length = sequence_length(text.substr(at));
  if (length == 0) {
    // No UTF-8: the visible form that messages use, its backslash escaped.  Of a surrogate all three bytes
    // belong to it.
    const std::size_t bad = is_utf8(text.substr(at, 3), true) ? 3 : 1;
    out += '\\' + escape_for_terminal(text.substr(at, bad));
    at += bad;
    return;
  }
  const std::string_view sequence = text.substr(at, length);
  if (length < 4 && escape_for_terminal(sequence) != sequence)
    append_unit(out, code_point(sequence));
  else
    out += sequence;
  at += length;
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    while (at < text.size() && is_plain(text[at])) ++at;
    out += text.substr(begin, at - begin);
    if (at == text.size()) break;
    if (static_cast<unsigned char>(text[at]) >= 0x80)
      append_sequence(out, text, at);
    else
      append_control(out, text[at++]);
  }
  out += '"';
}

}  // namespace

std::string json_quoted(std::string_view text) {
  std::string out;
  append_quoted(out, text);
  return out;
}

void JsonWriter::new_line(std::size_t depth) {
  held_ += '\n';
  held_.append(2 * depth, ' ');
}

// What stands between two values of a container.
void JsonWriter::separate() {
  if (levels_.empty()) return;
  Level& level = levels_.back();
  const bool one_line = level.one_line;
  if (!level.empty) held_ += one_line && style_ == Style::pretty ? ", " : ",";
  level.empty = false;
  if (!one_line) new_line(levels_.size());
}

void JsonWriter::before_value() {
  assert(levels_.empty() || !levels_.back().object || after_key_);
  if (!after_key_) separate();
  after_key_ = false;
  flush_when_large();
}

void JsonWriter::begin(char bracket, Lines lines) {
  before_value();
  held_ += bracket;
  const bool inside_line = !levels_.empty() && levels_.back().one_line;
  levels_.push_back({bracket == '{', inside_line || lines == Lines::one || style_ == Style::compact, true});
}

void JsonWriter::end(char bracket) {
  assert(!levels_.empty() && levels_.back().object == (bracket == '}') && !after_key_);
  const Level level = levels_.back();
  levels_.pop_back();
  if (!level.empty && !level.one_line) new_line(levels_.size());
  held_ += bracket;
}

void JsonWriter::key(std::string_view name) {
  assert(!levels_.empty() && levels_.back().object && !after_key_);
  separate();
  append_quoted(held_, name);
  held_ += style_ == Style::pretty ? ": " : ":";
  after_key_ = true;
}

void JsonWriter::value(std::string_view text) {
  before_value();
  append_quoted(held_, text);
}

void JsonWriter::value(bool truth) { number(truth ? "true" : "false"); }
void JsonWriter::null() { number("null"); }

void JsonWriter::value(double real) {
  if (std::isfinite(real)) {
    before_value();
    const std::size_t begin = held_.size();
    append_number(held_, real);
    // A whole number keeps its point: readers that know integers and reals take it for a real.
    if (held_.find_first_of(".e", begin) == std::string::npos) held_ += ".0";
  } else if (non_finite_ == NonFinite::null) {
    null();
  } else {
    value(std::isnan(real) ? "NaN" : real > 0 ? "Infinity" : "-Infinity");
  }
}

void JsonWriter::integer(std::int64_t whole) {
  before_value();
  append_number(held_, whole);
}

void JsonWriter::natural(std::uint64_t whole) {
  before_value();
  append_number(held_, whole);
}

void JsonWriter::number(std::string_view digits) {
  before_value();
  held_ += digits;
}

void JsonWriter::flush_when_large() {
  if (held_.size() < kFlushAt) return;
  put_(held_);
  held_.clear();
}

void JsonWriter::finish() {
  assert(levels_.empty());
  held_ += '\n';
  put_(held_);
  held_.clear();
}

}  // namespace ferry::report
