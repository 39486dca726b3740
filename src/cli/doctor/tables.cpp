#include "src/cli/doctor/tables.h"

#include <algorithm>

#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::doctor {
namespace {

[[noreturn]] void refuse(const std::string& what, std::size_t line) {
  throw Error(Code::bad_policy, what).in("line " + std::to_string(line));
}

Version version_at(const std::string& text, std::size_t line) {
  const auto version = parse_version(text);
  if (!version) refuse(quote(text) + " is no version", line);
  return *version;
}

// "2.10.1a0+git" counts as 2.10.
Version series_of(const Version& version) {
  Version series;
  series.epoch = version.epoch;
  series.release = version.release;
  series.release.resize(2, "0");
  return series;
}

Release release_of(const config::TorchRow& row) {
  Release release;
  release.from = series_of(version_at(row.from, row.line));
  if (!row.to.empty()) release.to = series_of(version_at(row.to, row.line));
  if (release.to && compare(*release.to, release.from) < 0)
    refuse("the row ends at " + row.to + ", before it begins", row.line);
  for (const config::PackageRange& range : row.packages) {
    auto versions = parse_specifiers(range.range);
    if (!versions) refuse(quote(range.range) + " is no range of versions", range.line);
    release.ranges.push_back({range.package, *std::move(versions)});
  }
  return release;
}

std::vector<Accelerators::Row> rows_of(const std::vector<config::AcceleratorRow>& rows) {
  std::vector<Accelerators::Row> result;
  for (const config::AcceleratorRow& row : rows) {
    Accelerators::Row& added = result.emplace_back();
    added.from = version_at(row.from, row.line);
    if (!row.driver.empty()) added.driver = version_at(row.driver, row.line);
    added.driver_text = row.driver;
    added.index = row.index;
    if (result.size() > 1 && compare(result[result.size() - 2].from, added.from) >= 0)
      refuse("rows are in the order of their versions", row.line);
  }
  return result;
}

}  // namespace

std::string Release::text() const {
  if (!to) return from.text() + " and later";
  return compare(*to, from) == 0 ? from.text() : from.text() + " – " + to->text();
}

PackageRanges::PackageRanges(std::string_view toml) {
  for (const config::TorchRow& row : config::parse_package_ranges(toml)) {
    Release release = release_of(row);
    if (!rows_.empty() && (!rows_.back().to || compare(*rows_.back().to, release.from) >= 0))
      refuse("rows are in the order of their releases and do not overlap", row.line);
    rows_.push_back(std::move(release));
  }
}

const Release* PackageRanges::find(const Version& torch) const {
  const Version series = series_of(torch);
  for (const Release& row : rows_)
    if (compare(row.from, series) <= 0 && (!row.to || compare(series, *row.to) <= 0)) return &row;
  return nullptr;
}

std::vector<std::string> PackageRanges::packages() const {
  std::vector<std::string> packages;
  for (const Release& row : rows_)
    for (const Range& range : row.ranges)
      if (std::find(packages.begin(), packages.end(), range.package) == packages.end())
        packages.push_back(range.package);
  return packages;
}

const Accelerators::Row* Accelerators::row_for(const std::vector<Row>& rows, const Version& version) {
  const Row* found = nullptr;
  for (const Row& row : rows)
    if (compare(row.from, version) <= 0) found = &row;
  return found;
}

const Accelerators::Row* Accelerators::cuda_for_driver(const Version& driver) const {
  const Row* found = nullptr;
  for (const Row& row : cuda)
    if (row.driver && compare(*row.driver, driver) <= 0) found = &row;
  return found;
}

Accelerators read_accelerators(std::string_view toml) {
  const config::Accelerators tables = config::parse_accelerators(toml);
  return {rows_of(tables.cuda), rows_of(tables.rocm)};
}

}  // namespace ferry::doctor
