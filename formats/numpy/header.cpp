#include "formats/numpy/header.h"

#include <algorithm>
#include <charconv>

#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::numpy {
namespace {

// The grammar, with white space between any two tokens:
//
//   header  = "{" [ entry { "," entry } [ "," ] ] "}"
//   entry   = text ":" value       each of descr, fortran_order and shape exactly once
//   value   = text | "True" | "False" | "(" [ size { "," size } [ "," ] ] ")"
//   text    = quote { printable ASCII but the quote and the backslash } quote
//   size    = digits [ "L" ]       Python 2 wrote long integers so
class HeaderText {
 public:
  HeaderText(std::string_view text, std::size_t base) : text_(text), base_(base) {}

  void read_into(ArrayHeader& header) {
    bool has_descr = false, has_order = false, has_shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string key = text();
      expect(':');
      if (key == "descr")
        take_once(has_descr, key), header.descr = element_type();
      else if (key == "fortran_order")
        take_once(has_order, key), header.fortran = truth();
      else if (key == "shape")
        take_once(has_shape, key), header.shape = shape();
      else
        fail("the header has a key " + quote(key, 40));
      if (accept(',')) continue;
      expect('}');
      break;
    }
    skip_space();
    if (at_ != text_.size()) fail("something follows the header");
    if (!has_descr) fail("the header has no descr");
    if (!has_order) fail("the header has no fortran_order");
    if (!has_shape) fail("the header has no shape");
  }

 private:
  void take_once(bool& taken, const std::string& key) {
    if (taken) fail("the header has " + quote(key) + " twice");
    taken = true;
  }

  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos)
      ++at_;
  }
  char next() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char c) {
    if (next() != c || at_ == text_.size()) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(std::string("the header has no ") + c + " where one must be");
  }

  std::string text() {
    const char mark = next();
    if (mark != '\'' && mark != '"') fail("the header has no text where one must be");
    const std::size_t begin = ++at_;
    while (at_ < text_.size() && text_[at_] != mark) {
      if (text_[at_] < 0x20 || text_[at_] > 0x7e || text_[at_] == '\\')
        fail("a text of the header holds a character that numpy does not write");
      ++at_;
    }
    if (at_ == text_.size()) fail("a text of the header has no end");
    return std::string(text_.substr(begin, at_++ - begin));
  }

  std::string element_type() {
    if (next() == '[' || next() == '(')
      throw Error(Code::unsupported_value, "arrays of structures are not supported")
          .at(base_ + at_)
          .with_hint("save each field as an array of its own");
    return text();
  }

  bool truth() {
    next();
    for (const auto& [word, value] : {std::pair("True", true), std::pair("False", false)})
      if (text_.substr(at_).starts_with(word)) {
        at_ += std::string_view(word).size();
        return value;
      }
    fail("fortran_order is neither True nor False");
  }

  std::vector<std::int64_t> shape() {
    std::vector<std::int64_t> sizes;
    expect('(');
    while (!accept(')')) {
      sizes.push_back(size());
      if (sizes.size() > kRankMax)
        fail("the shape has more than " + std::to_string(kRankMax) + " dimensions");
      if (accept(',')) continue;
      if (sizes.size() == 1) fail("the shape is no tuple");  // (3) is a number to Python, (3,) a tuple
      expect(')');
      break;
    }
    return sizes;
  }

  std::int64_t size() {
    const char first = next();
    if (first < '0' || first > '9') fail("the shape holds what is no size");
    std::int64_t value = 0;
    const auto end = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (end.ec != std::errc()) fail("the shape holds a size beyond 63 bits");
    const auto length = static_cast<std::size_t>(end.ptr - (text_.data() + at_));
    if (first == '0' && length > 1) fail("the shape holds a number with a leading zero");
    at_ += length;
    if (at_ < text_.size() && text_[at_] == 'L') ++at_;
    return value;
  }

  [[noreturn]] void fail(std::string what) const {
    throw Error(Code::bad_npy, std::move(what)).at(base_ + at_);
  }

  std::string_view text_;
  std::size_t base_;  // of the text in the array, for messages
  std::size_t at_ = 0;
};

// Where the text begins and ends, by the version: a size of 2 bytes in 1.0, of 4 later.
ByteRange text_range(Bytes head) {
  if (head.size() < kMagic.size() || as_text(head.first(kMagic.size())) != kMagic)
    throw Error(Code::bad_npy, "the array does not begin with numpy's magic bytes").at(0);
  const auto need = [&](std::size_t size) {
    if (head.size() < size) throw Error(Code::truncated, "the array ends in its header").at(head.size());
  };
  need(kMagic.size() + 2);
  const auto major = static_cast<unsigned>(head[6]), minor = static_cast<unsigned>(head[7]);
  if (major < 1 || major > 3 || minor != 0)
    throw Error(Code::bad_version, "version " + std::to_string(major) + "." + std::to_string(minor) +
                                       " of the .npy format is unknown")
        .at(kMagic.size());
  need(major == 1 ? 10 : 12);
  if (major == 1) return {10, load_le<std::uint16_t>(&head[8])};
  return {12, load_le<std::uint32_t>(&head[8])};
}

}  // namespace

ArrayHeader read_array_header(const Head& head, std::uint64_t size) {
  constexpr std::size_t kGuess = 256;
  ArrayHeader header;
  header.bytes = head(static_cast<std::size_t>(std::min<std::uint64_t>(kGuess, size)));
  const ByteRange range = text_range(header.bytes);
  if (range.size > kHeaderMax)
    throw Error(Code::limit_exceeded,
                "the header claims " + grouped(range.size) + " bytes, the limit is " + grouped(kHeaderMax))
        .at(8);
  if (range.end() > size)
    throw Error(Code::truncated, "the header ends at byte " + std::to_string(range.end()) +
                                     ", the array has " + std::to_string(size) + " bytes")
        .at(8);
  if (range.end() > header.bytes.size()) header.bytes = head(static_cast<std::size_t>(range.end()));
  header.bytes.resize(static_cast<std::size_t>(range.end()));
  HeaderText(as_text(Bytes(header.bytes)).substr(static_cast<std::size_t>(range.offset)),
             static_cast<std::size_t>(range.offset))
      .read_into(header);
  return header;
}

}  // namespace ferry::numpy
