// What torchferry-replay says while it works: lines of JSON on its standard output.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "src/core/error.h"

namespace ferry::replay {

// One object, member by member.
class JsonObject {
 public:
  JsonObject& text(std::string_view name, std::string_view value);
  JsonObject& number(std::string_view name, std::int64_t value);
  JsonObject& real(std::string_view name, double value);  // null where it is not finite
  JsonObject& truth(std::string_view name, bool value);
  std::string finished() const { return "{" + members_ + "}"; }

 private:
  void begin(std::string_view name);
  std::string members_;
};

// Writes a line at once: a crash afterwards must not take it along.
void tell(const JsonObject& event);
void tell_error(const Error& error);

}  // namespace ferry::replay
