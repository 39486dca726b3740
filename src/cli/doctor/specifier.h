// What versions fit: ">=4.41.0,<4.50.0", as PEP 440 defines specifiers.
//
// Judged of what is installed, so versions before a release count where they lie in the range (as in
// `pip check`): 4.46.0.dev0 fits ">=4.45.0", 4.45.0rc1 does not, and 4.50.0rc1 does not fit "<4.50.0".  The
// local part of an installed version (2.3.1+cu121) says nothing about a range.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/cli/doctor/version.h"

namespace ferry::doctor {

struct Specifier {
  std::string relation;  // == != <= >= < > ~= ===
  std::string written;   // the version as it stands there, for ===
  Version version;
  bool any_suffix = false;  // "== 1.4.*"

  bool contains(const Version& candidate) const;
};

class Specifiers {
 public:
  bool contains(const Version& candidate) const;
  bool empty() const { return all_.empty(); }
  std::string text() const;  // ">=4.41.0,<4.50.0", in the order in which they were written

 private:
  friend std::optional<Specifiers> parse_specifiers(std::string_view text);
  std::vector<Specifier> all_;
};

// Comma-separated; the empty text fits everything.  Nothing where PEP 440 knows no such specifier.
std::optional<Specifiers> parse_specifiers(std::string_view text);

}  // namespace ferry::doctor
