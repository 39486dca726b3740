// The one exception type of torchferry, thrown where a fault is known, explained on the way up, caught once.
//
// A message reads: FILE: what; where; why; hint.  `what` is said by the thrower, `where` grows from the
// inside out
// ("at byte 0x4183", "in record archive/data.pkl"), `why` and `hint` come from the table of codes (finding.h)
// unless the thrower knows better.  Nothing below src/cli prints, exits or aborts.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/finding.h"

namespace ferry {

class Error : public std::exception {
 public:
  Error(Code code, std::string what);

  Fault fault() const { return info(code_).fault; }
  Code code() const { return code_; }
  const std::string& summary() const { return what_; }
  const std::string& file() const { return file_; }
  const std::vector<std::string>& where() const { return where_; }
  const std::string& hint() const { return hint_; }

  // Each returns *this, so that a throw can be written as one expression.
  Error& at(std::uint64_t byte_offset);  // "at byte 0x10 (16)": the innermost place
  Error& in(std::string place);          // "in record archive/data.pkl"
  Error& of(std::string file);           // the file; the first one said stays
  Error& with_hint(std::string hint);

  // The whole message on one line, safe to print: control and bidi characters are escaped.
  const char* what() const noexcept override;

 private:
  void compose();

  Code code_;
  std::string what_, file_, hint_, message_;
  std::vector<std::string> where_;
};

}  // namespace ferry
