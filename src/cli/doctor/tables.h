// What doctor knows by heart: its data files as they were when this program was configured, understood.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/cli/doctor/specifier.h"
#include "src/cli/doctor/version.h"
#include "src/config/package_ranges.h"

namespace ferry::doctor {

// src/cli/doctor/package_ranges.toml and accelerators.toml.
std::string_view package_ranges_text();
std::string_view accelerators_text();

struct Range {
  std::string package;  // as pip writes it: huggingface_hub
  Specifiers versions;
};

// The ranges for some releases of PyTorch.
struct Release {
  Version from;
  std::optional<Version> to;
  std::vector<Range> ranges;

  std::string text() const;  // "2.0 – 2.2", "2.3", "2.10 and later"
};

class PackageRanges {
 public:
  // Throws Code::bad_policy with the line: also for versions and ranges that PEP 440 does not know, and for
  // rows out of order.
  explicit PackageRanges(std::string_view toml);

  // The row of a build, by the first two numbers of its version; nullptr where there is none.
  const Release* find(const Version& torch) const;
  const std::vector<Release>& rows() const { return rows_; }
  // Every package of any row, in the order of the table.
  std::vector<std::string> packages() const;

 private:
  std::vector<Release> rows_;
};

struct Accelerators {
  struct Row {
    Version from;
    std::optional<Version> driver;  // the least that will do
    std::string driver_text, index;
  };
  std::vector<Row> cuda, rocm;

  // The last row that is not above `version`; nullptr where there is none.
  static const Row* row_for(const std::vector<Row>& rows, const Version& version);
  // The last row of `cuda` that a driver is good for.
  const Row* cuda_for_driver(const Version& driver) const;
};
Accelerators read_accelerators(std::string_view toml);

}  // namespace ferry::doctor
