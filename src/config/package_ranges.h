// Tables of `doctor` in TOML: which packages go with which PyTorch, and which driver a build of it needs.
//
//   [[torch]]
//   from = "2.3"                   # the first and the last release, by their first two numbers
//   to = "2.3"                     # none: all later ones
//   packages = { transformers = ">=4.41.0,<4.50.0", accelerate = ">=0.29.0,<0.35.0" }
//
//   [[cuda]]                       # from this version on, up to the next row
//   from = "12.0"
//   driver = "525.60.13"           # the least that will do
//   index = "cu126"                # optional: wheels of PyTorch for such a driver
//
//   [[rocm]]
//   from = "6.2"
//   index = "rocm6.2"
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ferry::config {

struct PackageRange {
  std::string package, range;
  std::size_t line = 0;  // where it stands, for messages of who understands versions
};

struct TorchRow {
  std::string from, to;                // to: empty when there is no end
  std::vector<PackageRange> packages;  // in the order of the file
  std::size_t line = 0;
};

struct AcceleratorRow {
  std::string from, driver, index;
  std::size_t line = 0;
};

// Each throws Code::bad_policy with the line of what cannot be understood: a syntax error, an unknown or
// missing key, a wrong type.  What the texts mean is not looked at.
std::vector<TorchRow> parse_package_ranges(std::string_view text);

struct Accelerators {
  std::vector<AcceleratorRow> cuda, rocm;
};
Accelerators parse_accelerators(std::string_view text);

}  // namespace ferry::config
