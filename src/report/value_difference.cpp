#include "src/report/value_difference.h"

#include <algorithm>
#include <string_view>

#include "src/core/text.h"
#include "src/report/inspection_tree.h"

namespace ferry::report {
namespace {

// Short enough for one word of a narrow terminal, which cuts words in the middle.
constexpr std::size_t kWhole = 56, kBefore = 14, kAfter = 24;  // bytes of what is printed
constexpr std::size_t kPreview = 80, kSearched = 4096;
constexpr std::size_t kWholeBytes = 16, kBytesBefore = 4, kBytesAfter = 12;

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

std::size_t first_difference(std::string_view a, std::string_view b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

// The characters around a place, which are shown whole.
std::string window(std::string_view text, std::size_t at) {
  const auto shown = [&](std::size_t begin, std::size_t end) {
    return escape_for_terminal(text.substr(begin, end - begin));
  };
  while (at > 0 && at < text.size() && is_continuation(text[at])) --at;
  std::size_t begin = at, end = at;
  for (std::size_t next = begin; next > 0;) {
    do --next;
    while (next > 0 && is_continuation(text[next]));
    if (shown(next, at).size() > kBefore) break;
    begin = next;
  }
  for (std::size_t next = end; next < text.size();) {
    do ++next;
    while (next < text.size() && is_continuation(text[next]));
    if (end > at && shown(at, next).size() > kAfter) break;
    end = next;
  }
  return (begin > 0 ? "…" : "") + shown(begin, end) + (end < text.size() ? "…" : "");
}

std::string text_around(std::string_view text, std::size_t at) {
  const auto characters = std::count_if(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at),
                                        [](char c) { return !is_continuation(c); });
  return "'" + window(text, at) + "' (at " + grouped(static_cast<std::uint64_t>(characters)) + ")";
}

std::string hexadecimal(std::string_view bytes, std::size_t at) {
  const bool whole = bytes.size() <= kWholeBytes;
  const std::size_t begin = whole ? 0 : at - std::min(at, kBytesBefore);
  const std::size_t end = whole ? bytes.size() : std::min(bytes.size(), at + kBytesAfter);
  std::string text = begin > 0 ? "…" : "";
  for (const char c : bytes.substr(begin, end - begin)) {
    text += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    text += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
  }
  return text + (end < bytes.size() ? "…" : "");
}

std::string bytes_around(std::string_view bytes, std::size_t at) {
  std::string text = plural(bytes.size(), "byte", "bytes");
  if (bytes.size() > kWholeBytes) text += " (at " + grouped(at) + ")";
  return bytes.empty() ? text : text + ": " + hexadecimal(bytes, at);
}

bool is_bytes(Kind kind) {
  return kind == Kind::byte_string || kind == Kind::bytes || kind == Kind::byte_array;
}

// What a number of so many bytes is, digit by digit, takes too long to find out.
bool is_long_integer(const ValueGraph& graph, NodeId id) {
  constexpr std::size_t kMax = 32;
  return graph.kind(id) == Kind::big_integer && graph.text(id).size() > kMax;
}

// Two's complement, the highest byte first.
std::string highest_first(std::string_view bytes) { return {bytes.rbegin(), bytes.rend()}; }

std::string long_integer(const std::string& bytes, std::size_t at) {
  return "an integer of " + grouped(bytes.size()) + " bytes: 0x" + hexadecimal(bytes, at);
}

ValueTexts scalar_texts(const ValueGraph& mine, NodeId a, const ValueGraph& others, NodeId b) {
  if (is_bytes(mine.kind(a)) && is_bytes(others.kind(b))) {
    const std::string_view before = mine.text(a), after = others.text(b);
    const std::size_t at = first_difference(before, after);
    return {bytes_around(before, at), bytes_around(after, at)};
  }
  if (is_long_integer(mine, a) && is_long_integer(others, b)) {
    const std::string before = highest_first(mine.text(a)), after = highest_first(others.text(b));
    const std::size_t at = before.size() == after.size() ? first_difference(before, after) : 0;
    return {long_integer(before, at), long_integer(after, at)};
  }
  if (mine.is_text(a) && others.is_text(b)) {
    const std::string_view before = mine.text(a), after = others.text(b);
    const auto is_long = [](std::string_view text) {
      return text.size() > kWhole || escape_for_terminal(text).size() > kWhole;
    };
    const std::size_t at = first_difference(before, after);
    if (is_long(before) || is_long(after)) return {text_around(before, at), text_around(after, at)};
  }
  return {preview(mine, a, kPreview), preview(others, b, kPreview)};
}

}  // namespace

ValueTexts difference_texts(const Checkpoint& before, NodeId mine, const Checkpoint& after, NodeId other) {
  ValueTexts texts = scalar_texts(before.values, mine, after.values, other);
  if (texts.before == texts.after && texts.before.size() > kWhole) {
    const std::string a = preview(before.values, mine, kSearched),
                      b = preview(after.values, other, kSearched);
    const std::size_t at = first_difference(a, b);
    if (a != b) texts = {window(a, at), window(b, at)};
  }
  if (texts.before == texts.after) {
    texts.before += " (" + std::string(type_text(before, mine)) + ")";
    texts.after += " (" + std::string(type_text(after, other)) + ")";
  }
  return texts;
}

}  // namespace ferry::report
