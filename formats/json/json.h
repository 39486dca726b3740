// JSON in, strictly: what two readers could read in two ways is refused.
//
// Beyond RFC 8259 a document is refused when a key repeats within its object (compared after unescaping),
// when it begins with a byte-order mark, holds half a surrogate pair or text that is no UTF-8, or nests
// deeper than the rules allow.  Integers of 64 bits are exact; every other number is the nearest double and
// finite.
//
// Large headers are read as events, with no tree in memory; small documents as a Value.  The work is
// O(n log n) in the size of the document whatever it holds, and nothing recurses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "src/core/finding.h"

namespace ferry::json {

// What a document may be, and what is thrown when it is not.
struct Rules {
  std::size_t depth_max = 64;            // arrays and objects inside each other
  std::uint64_t size_max = 100'000'000;  // bytes of the document; Code::limit_exceeded above it
  bool space_before = false;             // whether white space may stand before the first token
  Code broken = Code::bad_json;          // the code of every complaint about the document itself
  std::uint64_t base = 0;                // offset of the document in its file, added to the offsets of errors
};

// Receives a document in its order.  Texts may be moved from.  Anything that it throws passes through read().
// Only after read() has returned is the document known to be legal: a repeated key is found when its object
// ends.
class Events {
 public:
  virtual ~Events() = default;
  virtual void null() = 0;
  virtual void boolean(bool value) = 0;
  virtual void integer(std::int64_t value) = 0;
  virtual void natural(std::uint64_t value) = 0;  // only above the range of integer()
  virtual void real(double value) = 0;
  virtual void text(std::string& value) = 0;
  virtual void begin_object() = 0;
  virtual void key(std::string& name) = 0;
  virtual void end_object() = 0;
  virtual void begin_array() = 0;
  virtual void end_array() = 0;

  // Offset of the byte after the token that is being told, with Rules::base; for errors of the receiver.
  std::uint64_t offset() const { return offset_; }

 private:
  friend class Reader;
  std::uint64_t offset_ = 0;
};

// Reads one document, which is all of `document` but for white space after it.  Throws Rules::broken with the
// byte offset, Code::truncated when it ends in the middle, Code::limit_exceeded, Code::too_deep.
void read(std::string_view document, const Rules& rules, Events& events);

// A value of a small document.
class Value {
 public:
  using Member = std::pair<std::string, Value>;
  using Array = std::vector<Value>;
  using Object = std::vector<Member>;  // in the order of the document; keys do not repeat
  using Content =
      std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string, Array, Object>;

  Value() = default;  // null
  explicit Value(Content content) : content_(std::move(content)) {}

  // What the value is, or nothing when it is something else.
  bool is_null() const { return std::holds_alternative<std::monostate>(content_); }
  std::optional<bool> boolean() const;
  std::optional<std::int64_t> integer() const;
  std::optional<std::uint64_t> natural() const;  // an integer that is not negative
  std::optional<double> number() const;          // of any kind; integers are rounded to doubles
  const std::string* text() const { return std::get_if<std::string>(&content_); }
  const Array* array() const { return std::get_if<Array>(&content_); }
  const Object* object() const { return std::get_if<Object>(&content_); }
  // The member of this name, found by looking at one after the other; nullptr also when this is no object.
  const Value* find(std::string_view name) const;

 private:
  friend class TreeBuilder;
  Content content_;
};

// The whole document as a value.  Throws what read() throws.
Value parse(std::string_view document, const Rules& rules = {});

}  // namespace ferry::json
