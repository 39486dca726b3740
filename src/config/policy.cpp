#include "src/config/policy.h"

#include <toml++/toml.h>

#include <algorithm>
#include <array>

#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::config {
namespace {

[[noreturn]] void refuse(const std::string& what, const toml::source_region& place) {
  throw Error(Code::bad_policy, what).in("line " + std::to_string(place.begin.line));
}

std::string key_of(const toml::key& key) { return std::string(key.str()); }

template <typename Allowed>
void refuse_unknown(const toml::table& table, const Allowed& allowed) {
  for (const auto& [key, value] : table)
    if (std::find(allowed.begin(), allowed.end(), key.str()) == allowed.end())
      refuse("there is no key " + quote(key_of(key)) + " here", key.source());
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

std::vector<std::string> globs_of(const toml::node& node, std::string_view key) {
  const toml::array* const list = node.as_array();
  if (list == nullptr) refuse(std::string(key) + " is a list of patterns", node.source());
  std::vector<std::string> globs;
  for (const toml::node& item : *list) globs.push_back(text_of(item, "a pattern in " + std::string(key)));
  return globs;
}

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

NaNPolicy nan_of(const toml::node& node) {
  const std::string text = text_of(node, "nan");
  if (text != "equal" && text != "strict") refuse("nan is \"equal\" or \"strict\"", node.source());
  return text == "strict" ? NaNPolicy::strict : NaNPolicy::equal;
}

Policy policy_of(const toml::table& table) {
  static constexpr std::array<std::string_view, 6> kKeys = {"nan",           "check_dtype", "ignore",
                                                            "allow_removed", "allow_added", "bounds"};
  refuse_unknown(table, kKeys);
  Policy policy;
  for (const auto& [key, value] : table) {
    const std::string_view name = key.str();
    if (name == "nan") policy.nan = nan_of(value);
    if (name == "check_dtype") policy.check_dtype = truth_of(value, name);
    if (name == "ignore") policy.ignores = globs_of(value, name);
    if (name == "allow_removed") policy.allowed_removed = globs_of(value, name);
    if (name == "allow_added") policy.allowed_added = globs_of(value, name);
    if (name != "bounds") continue;
    const toml::array* const rows = value.as_array();
    if (rows == nullptr) refuse("bounds are written as [[bounds]]", value.source());
    for (const toml::node& row : *rows) policy.bounds.push_back(row_of(row));
  }
  return policy;
}

}  // namespace

Policy parse_policy(std::string_view text) {
  try {
    return policy_of(toml::parse(text));
  } catch (const toml::parse_error& error) {
    refuse(std::string(error.description()), error.source());
  }
}

}  // namespace ferry::config
