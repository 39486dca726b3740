#include "src/report/difference_layout.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace ferry::report {
namespace {

struct Range {
  std::uint32_t first, last;
};

// The blocks of Unicode's EastAsianWidth.txt that are W or F, joined where what lies between is unassigned.
constexpr std::array<Range, 15> kWide = {{{0x1100, 0x115f},
                                          {0x231a, 0x231b},
                                          {0x2329, 0x232a},
                                          {0x23e9, 0x23f3},
                                          {0x25fd, 0x25fe},
                                          {0x2614, 0x2615},
                                          {0x2648, 0x27bf},
                                          {0x2b1b, 0x2b55},
                                          {0x2e80, 0xa4cf},
                                          {0xa960, 0xa97f},
                                          {0xac00, 0xd7a3},
                                          {0xf900, 0xfaff},
                                          {0xfe10, 0xff60},
                                          {0xffe0, 0xffe6},
                                          {0x16fe0, 0x3fffd}}};
// Combining marks of the scripts that names are likely to have.
constexpr std::array<Range, 8> kCombining = {{{0x300, 0x36f},
                                              {0x483, 0x489},
                                              {0x591, 0x5bd},
                                              {0x64b, 0x65f},
                                              {0x1ab0, 0x1aff},
                                              {0x1dc0, 0x1dff},
                                              {0x20d0, 0x20ff},
                                              {0xfe00, 0xfe0f}}};

template <std::size_t N>
bool is_in(const std::array<Range, N>& ranges, std::uint32_t point) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [point](const Range& range) { return range.first <= point && point <= range.last; });
}

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// The end of the character that begins at `at`.  Text was escaped before, so it is well-formed.
std::size_t next(std::string_view text, std::size_t at) {
  do ++at;
  while (at < text.size() && continues(text[at]));
  return at;
}

std::size_t columns_of_one(std::string_view character) {
  const auto lead = static_cast<unsigned char>(character[0]);
  if (lead < 0x80) return 1;
  std::uint32_t point = lead & (0xffu >> (character.size() + 1));
  for (const char c : character.substr(1)) point = (point << 6) | (static_cast<unsigned char>(c) & 0x3fu);
  if (is_in(kCombining, point)) return 0;
  return is_in(kWide, point) ? 2 : 1;
}

// Bytes of the longest beginning, or end, that is at most `width` columns wide.
std::size_t head_bytes(std::string_view text, std::size_t width) {
  std::size_t at = 0;
  for (std::size_t columns = 0; at < text.size();) {
    const std::size_t end = next(text, at);
    columns += columns_of_one(text.substr(at, end - at));
    if (columns > width) break;
    at = end;
  }
  return at;
}

std::size_t tail_bytes(std::string_view text, std::size_t width) {
  std::size_t at = text.size();
  for (std::size_t columns = 0; at > 0;) {
    std::size_t begin = at - 1;
    while (begin > 0 && continues(text[begin])) --begin;
    columns += columns_of_one(text.substr(begin, at - begin));
    if (columns > width) break;
    at = begin;
  }
  return text.size() - at;
}

}  // namespace

std::size_t display_columns(std::string_view text) {
  std::size_t columns = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = next(text, at);
    columns += columns_of_one(text.substr(at, end - at));
    at = end;
  }
  return columns;
}

std::string shortened(std::string_view text, std::size_t width) {
  if (width == 0 || display_columns(text) <= width) return std::string(text);
  const std::size_t tail = (width - 1) * 2 / 3, head = width - 1 - tail;
  return std::string(text.substr(0, head_bytes(text, head))) + "…" +
         std::string(text.substr(text.size() - tail_bytes(text, tail)));
}

std::string padded(std::string text, std::size_t width, bool right) {
  const std::size_t columns = display_columns(text);
  if (columns < width) text.insert(right ? 0 : text.size(), width - columns, ' ');
  return text;
}

std::string folded(std::string_view head, std::string_view text, std::size_t hanging, std::size_t width) {
  if (width == 0) return std::string(head) + std::string(text) + "\n";
  std::string out, line(head);
  bool fresh = true;  // no word on this line yet
  const auto end_line = [&] {
    while (line.ends_with(' ')) line.pop_back();
    out += line + "\n";
  };
  while (!text.empty()) {
    const std::size_t space = std::min(text.find(' '), text.size());
    const std::string word = shortened(text.substr(0, space), width > hanging ? width - hanging : 1);
    text.remove_prefix(std::min(space + 1, text.size()));
    const std::size_t columns = display_columns(line);
    if (columns + display_columns(word) + (fresh ? 0 : 1) > width && (!fresh || columns > hanging)) {
      end_line();
      line = std::string(hanging, ' ');
      fresh = true;
    }
    if (word.empty() && fresh) continue;  // of two spaces the second, behind a fold
    line += (fresh ? "" : " ") + word;
    fresh = false;
  }
  end_line();
  return out;
}

}  // namespace ferry::report
