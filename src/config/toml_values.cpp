#include "src/config/toml_values.h"

#include <algorithm>
#include <array>

#include "src/core/error.h"
#include "src/core/nearest.h"
#include "src/core/text.h"

namespace ferry::config {

void refuse(const std::string& what, const toml::source_region& place, const std::string& hint) {
  Error error(Code::bad_policy, what);
  error.in("line " + std::to_string(place.begin.line) + ", column " + std::to_string(place.begin.column));
  if (!hint.empty()) error.with_hint(hint);
  throw error;
}

namespace {

std::string meant_instead(std::string_view typed, std::span<const std::string_view> known) {
  const std::string meant = nearest(typed, {known.begin(), known.end()});
  return meant.empty() ? "" : "did you mean " + quote(meant) + "?";
}

}  // namespace

void refuse_unknown(const toml::table& table, std::span<const std::string_view> allowed) {
  for (const auto& [key, value] : table)
    if (std::find(allowed.begin(), allowed.end(), key.str()) == allowed.end())
      refuse("there is no key " + quote(key.str()) + " here", key.source(),
             meant_instead(key.str(), allowed));
}

bool truth_of(const toml::node& node, std::string_view key) {
  if (const auto value = node.value_exact<bool>()) return *value;
  refuse(std::string(key) + " is true or false", node.source());
}

std::string text_of(const toml::node& node, std::string_view key) {
  if (auto value = node.value_exact<std::string>()) return std::move(*value);
  refuse(std::string(key) + " is a text", node.source());
}

double bound_of(const toml::node& node, std::string_view key) {
  const auto value = node.value<double>();
  if (!node.is_number() || !value || !(*value >= 0))
    refuse(std::string(key) + " is a number of 0 or more", node.source());
  return *value;
}

std::vector<std::string> texts_of(const toml::node& node, std::string_view key) {
  const toml::array* const list = node.as_array();
  if (list == nullptr) refuse(std::string(key) + " is a list of texts", node.source());
  std::vector<std::string> texts;
  for (const toml::node& item : *list) texts.push_back(text_of(item, "each item of " + std::string(key)));
  return texts;
}

std::string word_of(const toml::node& node, std::string_view key, std::span<const std::string_view> words) {
  std::string text = text_of(node, key);
  if (std::find(words.begin(), words.end(), text) != words.end()) return text;
  std::string all;
  for (const std::string_view word : words) all += (all.empty() ? "" : ", ") + std::string(word);
  refuse(std::string(key) + " is one of " + all, node.source(), meant_instead(text, words));
}

NaNPolicy nan_of(const toml::node& node) {
  static constexpr std::array<std::string_view, 2> kWords = {"equal", "strict"};
  return word_of(node, "nan", kWords) == "strict" ? NaNPolicy::strict : NaNPolicy::equal;
}

namespace {

BoundRow row_of(const toml::node& node) {
  const toml::table* const table = node.as_table();
  if (table == nullptr) refuse("bounds are written as [[bounds]]", node.source());
  static constexpr std::array<std::string_view, 5> kKeys = {"name", "rtol", "atol", "ulp", "torch_testing"};
  refuse_unknown(*table, kKeys);
  BoundRow row;
  row.pattern = "*";
  for (const auto& [key, value] : *table) {
    const std::string_view name = key.str();
    if (name == "name") row.pattern = text_of(value, name);
    if (name == "rtol") row.rtol = bound_of(value, name);
    if (name == "atol") row.atol = bound_of(value, name);
    if (name == "ulp") row.ulp = bound_of(value, name);
    if (name == "torch_testing") row.torch_testing = truth_of(value, name);
  }
  return row;
}

}  // namespace

std::vector<BoundRow> bounds_of(const toml::node& node) {
  const toml::array* const list = node.as_array();
  if (list == nullptr) refuse("bounds are written as [[bounds]]", node.source());
  std::vector<BoundRow> rows;
  for (const toml::node& row : *list) rows.push_back(row_of(row));
  return rows;
}

toml::table parse_table(std::string_view text) {
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    refuse(std::string(error.description()), error.source());
  }
}

}  // namespace ferry::config
