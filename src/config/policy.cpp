#include "src/config/policy.h"

#include <array>

#include "src/config/toml_values.h"

namespace ferry::config {

Policy parse_policy(std::string_view text) {
  static constexpr std::array<std::string_view, 6> kKeys = {"nan",           "check_dtype", "ignore",
                                                            "allow_removed", "allow_added", "bounds"};
  const toml::table table = parse_table(text);
  refuse_unknown(table, kKeys);
  Policy policy;
  for (const auto& [key, value] : table) {
    const std::string_view name = key.str();
    if (name == "nan") policy.nan = nan_of(value);
    if (name == "check_dtype") policy.check_dtype = truth_of(value, name);
    if (name == "ignore") policy.ignores = texts_of(value, name);
    if (name == "allow_removed") policy.allowed_removed = texts_of(value, name);
    if (name == "allow_added") policy.allowed_added = texts_of(value, name);
    if (name == "bounds") policy.bounds = bounds_of(value);
  }
  return policy;
}

}  // namespace ferry::config
