// A small JSON writer that streams: fixed key order, exact integers, and no tree in memory for 100,000
// tensors.
//
//   JsonWriter json([](std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); });
//   json.begin_object();
//   json.field("schema", "torchferry.inspect/1");
//   json.key("shape");
//   json.begin_array(JsonWriter::Lines::one);
//   json.value(3);
//   json.end_array();
//   json.end_object();
//   json.finish();
//
// The calls must describe one well-formed document; that they do is asserted, because a mistake there is
// ours.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::report {

class JsonWriter {
 public:
  enum class Style : std::uint8_t {
    pretty,
    compact
  };  // two spaces of indentation and one line a value; or one line
  enum class Lines : std::uint8_t { many, one };  // a container written on one line also in the pretty style
  enum class NonFinite : std::uint8_t {
    null,
    text
  };  // NaN and infinities: null, or "NaN", "Infinity", "-Infinity"

  using Put = std::function<void(std::string_view)>;  // takes the text in pieces, in order

  explicit JsonWriter(Put put, Style style = Style::pretty, NonFinite non_finite = NonFinite::text)
      : put_(std::move(put)), style_(style), non_finite_(non_finite) {}

  void begin_object(Lines lines = Lines::many) { begin('{', lines); }
  void end_object() { end('}'); }
  void begin_array(Lines lines = Lines::many) { begin('[', lines); }
  void end_array() { end(']'); }
  void key(std::string_view name);

  // Text that is no UTF-8 is written so that every JSON parser takes it: a stray byte 0x80 becomes the four
  // visible characters \x80, a lone surrogate \ud800, as messages show them.  Controls, also those that steer
  // terminals, are escaped.
  void value(std::string_view text);
  void value(const char* text) { value(std::string_view(text)); }
  void value(const std::string& text) { value(std::string_view(text)); }
  void value(double number);  // the shortest digits that read back as the same double
  void value(bool truth);
  template <std::integral T>
  requires(!std::same_as<T, bool> && !std::same_as<T, char>) void value(T number) {
    if constexpr (std::is_signed_v<T>)
      integer(static_cast<std::int64_t>(number));
    else
      natural(static_cast<std::uint64_t>(number));
  }
  void null();
  // Digits that are known to be a JSON number already: integers beyond 64 bits.
  void number(std::string_view digits);

  template <typename T>
  void field(std::string_view name, const T& content) {
    key(name);
    value(content);
  }
  void null_field(std::string_view name) {
    key(name);
    null();
  }

  // Ends the document with a line feed and hands over what is still held back.
  void finish();

 private:
  struct Level {
    bool object, one_line, empty;
  };

  void begin(char bracket, Lines lines);
  void end(char bracket);
  void before_value();
  void separate();
  void new_line(std::size_t depth);
  void integer(std::int64_t number);
  void natural(std::uint64_t number);
  void quoted(std::string_view text);
  void flush_when_large();

  Put put_;
  Style style_;
  NonFinite non_finite_;
  std::string held_;
  std::vector<Level> levels_;
  bool after_key_ = false;
};

// `text` as a JSON string with its quotes.
std::string json_quoted(std::string_view text);

}  // namespace ferry::report
