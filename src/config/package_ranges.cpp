#include "src/config/package_ranges.h"

#include <algorithm>
#include <array>

#include "src/config/toml_values.h"

namespace ferry::config {
namespace {

std::string filled(const toml::node& node, std::string_view key) {
  std::string text = text_of(node, key);
  if (text.empty()) refuse(std::string(key) + " is empty", node.source());
  return text;
}

std::string needed(const toml::table& table, std::string_view key) {
  const toml::node* const node = table.get(key);
  if (node == nullptr) refuse("the row has no " + std::string(key), table.source());
  return filled(*node, key);
}

std::string optional(const toml::table& table, std::string_view key) {
  const toml::node* const node = table.get(key);
  return node == nullptr ? "" : filled(*node, key);
}

template <typename Row>
void for_each_row(const toml::table& table, std::string_view name, Row&& row) {
  const toml::node* const node = table.get(name);
  if (node == nullptr) return;
  const toml::array* const rows = node->as_array();
  if (rows == nullptr)
    refuse(std::string(name) + " is written as [[" + std::string(name) + "]]", node->source());
  for (const toml::node& item : *rows) {
    const toml::table* const one = item.as_table();
    if (one == nullptr) refuse("a row of " + std::string(name) + " is a table", item.source());
    row(*one);
  }
}

std::vector<PackageRange> packages_of(const toml::table& row) {
  const toml::node* const node = row.get("packages");
  const toml::table* const table = node == nullptr ? nullptr : node->as_table();
  if (table == nullptr)
    refuse("packages is a table of ranges", node == nullptr ? row.source() : node->source());
  // toml++ sorts keys; who wrote the table had an order in mind.
  std::vector<std::pair<toml::source_position, PackageRange>> placed;
  for (const auto& [key, value] : *table) {
    const toml::source_position at = key.source().begin;
    placed.push_back({at, {std::string(key.str()), filled(value, key.str()), at.line}});
  }
  std::sort(placed.begin(), placed.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<PackageRange> packages;
  for (auto& [at, range] : placed) packages.push_back(std::move(range));
  return packages;
}

TorchRow torch_row(const toml::table& table) {
  refuse_unknown(table, std::to_array<std::string_view>({"from", "to", "packages"}));
  return {needed(table, "from"), optional(table, "to"), packages_of(table), table.source().begin.line};
}

AcceleratorRow accelerator_row(const toml::table& table, bool needs_driver) {
  refuse_unknown(table, std::to_array<std::string_view>({"from", "driver", "index"}));
  AcceleratorRow row;
  row.from = needed(table, "from");
  row.driver = needs_driver ? needed(table, "driver") : optional(table, "driver");
  row.index = needs_driver ? optional(table, "index") : needed(table, "index");
  row.line = table.source().begin.line;
  return row;
}

}  // namespace

std::vector<TorchRow> parse_package_ranges(std::string_view text) {
  const toml::table table = parse_table(text);
  refuse_unknown(table, std::to_array<std::string_view>({"torch"}));
  std::vector<TorchRow> rows;
  for_each_row(table, "torch", [&](const toml::table& row) { rows.push_back(torch_row(row)); });
  return rows;
}

Accelerators parse_accelerators(std::string_view text) {
  const toml::table table = parse_table(text);
  refuse_unknown(table, std::to_array<std::string_view>({"cuda", "rocm"}));
  Accelerators found;
  for_each_row(table, "cuda",
               [&](const toml::table& row) { found.cuda.push_back(accelerator_row(row, true)); });
  for_each_row(table, "rocm",
               [&](const toml::table& row) { found.rocm.push_back(accelerator_row(row, false)); });
  return found;
}

}  // namespace ferry::config
