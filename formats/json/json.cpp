#include "formats/json/json.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::json {
namespace {

// Feeds the parser and lets others see how far it has come.
class Cursor {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Cursor(const char* at, const char** seen) : at_(at), seen_(seen) {}
  reference operator*() const { return *at_; }
  Cursor& operator++() {
    *seen_ = ++at_;
    return *this;
  }
  bool operator==(const Cursor& other) const { return at_ == other.at_; }
  bool operator!=(const Cursor& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** seen_;
};

// "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while parsing value -
// invalid literal; last read: 'x'": the middle of it.
std::string reason_of(std::string_view message) {
  const std::size_t bracket = message.find("] ");
  if (bracket != std::string_view::npos) message.remove_prefix(bracket + 2);
  const std::size_t syntax = message.find("syntax error ");
  if (syntax != std::string_view::npos) message.remove_prefix(syntax + 13);
  return std::string(message.substr(0, std::min(message.find("; last read"), std::size_t{160})));
}

}  // namespace

// The keys of the objects that are open.  They are compared when their object ends, by sorting: no choice of
// names makes that slow, as it could with a hash table.
class OpenKeys {
 public:
  void open() { firsts_.push_back(keys_.size()); }

  void add(std::string_view name, std::uint64_t offset) {
    keys_.push_back({text_.size(), name.size(), offset});
    text_.append(name);
  }

  // The offset of a key that repeats an earlier one, if there is any.
  std::optional<std::uint64_t> close() {
    const auto first = keys_.begin() + static_cast<std::ptrdiff_t>(firsts_.back());
    const std::size_t text_begin = first == keys_.end() ? text_.size() : first->begin;
    std::sort(first, keys_.end(), [this](const Key& a, const Key& b) {
      const int order = name(a).compare(name(b));
      return order != 0 ? order < 0 : a.offset < b.offset;
    });
    const auto twin = std::adjacent_find(first, keys_.end(),
                                         [this](const Key& a, const Key& b) { return name(a) == name(b); });
    std::optional<std::uint64_t> repeated;
    if (twin != keys_.end()) {
      repeated = (twin + 1)->offset;
      repeated_name_ = name(*twin);
    }
    keys_.erase(first, keys_.end());
    text_.resize(text_begin);
    firsts_.pop_back();
    return repeated;
  }

  const std::string& repeated_name() const { return repeated_name_; }

 private:
  struct Key {
    std::size_t begin, size;  // in text_
    std::uint64_t offset;
  };
  std::string_view name(const Key& key) const { return std::string_view(text_).substr(key.begin, key.size); }

  std::string text_, repeated_name_;
  std::vector<Key> keys_;
  std::vector<std::size_t> firsts_;  // of each open object
};

// Translates the parser's calls, and adds the rules that it does not have.
class Reader {
 public:
  Reader(std::string_view document, const Rules& rules, Events& events)
      : document_(document), rules_(rules), events_(events), seen_(document.data()) {}

  void run() {
    check_beginning();
    // The parser takes a NUL for the end and would never see what follows it.
    if (const std::size_t nul = document_.find('\0'); nul != std::string_view::npos)
      fail("the JSON document holds a NUL", nul);
    const Cursor first(document_.data(), &seen_), last(document_.data() + document_.size(), &seen_);
    nlohmann::json::sax_parse(first, last, this);
  }

  bool null() {
    return tell([&] { events_.null(); });
  }
  bool boolean(bool value) {
    return tell([&] { events_.boolean(value); });
  }
  bool number_integer(std::int64_t value) {
    return tell([&] { events_.integer(value); });
  }
  bool number_unsigned(std::uint64_t value) {
    return tell([&] {
      if (value <= INT64_MAX)
        events_.integer(static_cast<std::int64_t>(value));
      else
        events_.natural(value);
    });
  }
  bool number_float(double value, const std::string&) {
    return tell([&] { events_.real(value); });
  }
  bool string(std::string& value) {
    return tell([&] { events_.text(value); });
  }
  bool binary(nlohmann::json::binary_t&) { return false; }  // JSON has none

  bool start_object(std::size_t) {
    deeper();
    keys_.open();
    return tell([&] { events_.begin_object(); });
  }
  bool key(std::string& name) {
    keys_.add(name, offset());
    return tell([&] { events_.key(name); });
  }
  bool end_object() {
    --depth_;
    if (const auto repeated = keys_.close())
      fail_at("the key " + quote(keys_.repeated_name()) + " stands twice in one object", *repeated);
    return tell([&] { events_.end_object(); });
  }
  bool start_array(std::size_t) {
    deeper();
    return tell([&] { events_.begin_array(); });
  }
  bool end_array() {
    --depth_;
    return tell([&] { events_.end_array(); });
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& why) {
    // The parser counts the characters that it has read, and the end as one of them.
    if (position > document_.size())
      throw Error(Code::truncated, "the JSON document ends in the middle").at(rules_.base + document_.size());
    fail("the JSON is broken: " + reason_of(why.what()), position == 0 ? 0 : position - 1);
  }

 private:
  std::uint64_t offset() const { return rules_.base + static_cast<std::uint64_t>(seen_ - document_.data()); }

  template <typename Telling>
  bool tell(Telling telling) {
    events_.offset_ = offset();
    telling();
    return true;
  }

  void check_beginning() const {
    if (document_.size() > rules_.size_max)
      throw Error(Code::limit_exceeded, "the JSON document has " + grouped(document_.size()) +
                                            " bytes, the limit is " + grouped(rules_.size_max))
          .at(rules_.base);
    if (document_.starts_with("\xef\xbb\xbf")) fail("a byte-order mark stands before the JSON", 0);
    const bool space =
        !document_.empty() && std::string_view(" \t\r\n").find(document_[0]) != std::string_view::npos;
    if (space && !rules_.space_before) fail("white space stands before the JSON", 0);
  }

  void deeper() {
    if (++depth_ > rules_.depth_max)
      throw Error(Code::too_deep,
                  "the JSON is nested more than " + std::to_string(rules_.depth_max) + " deep")
          .at(offset());
  }

  [[noreturn]] void fail(std::string what, std::size_t position) const {
    fail_at(std::move(what), rules_.base + position);
  }
  [[noreturn]] void fail_at(std::string what, std::uint64_t offset) const {
    throw Error(rules_.broken, std::move(what)).at(offset);
  }

  std::string_view document_;
  const Rules& rules_;
  Events& events_;
  const char* seen_;  // one past the last character that the parser has read
  OpenKeys keys_;
  std::size_t depth_ = 0;
};

void read(std::string_view document, const Rules& rules, Events& events) {
  Reader(document, rules, events).run();
}

}  // namespace ferry::json
