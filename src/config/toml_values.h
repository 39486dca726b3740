// Values of TOML, each with what is said where another kind of value stands.  Only src/config/*.cpp include
// this: it drags toml++ in.
#pragma once

#include <toml++/toml.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/bound.h"

namespace ferry::config {

// Throws Code::bad_policy: "…; line 3, column 5".
[[noreturn]] void refuse(const std::string& what, const toml::source_region& place,
                         const std::string& hint = "");

// Refuses a key that is not among these, and says which may have been meant.
void refuse_unknown(const toml::table& table, std::span<const std::string_view> allowed);

bool truth_of(const toml::node& node, std::string_view key);
std::string text_of(const toml::node& node, std::string_view key);
double bound_of(const toml::node& node, std::string_view key);
std::vector<std::string> texts_of(const toml::node& node, std::string_view key);
// One of a few words.
std::string word_of(const toml::node& node, std::string_view key, std::span<const std::string_view> words);
NaNPolicy nan_of(const toml::node& node);
std::vector<BoundRow> bounds_of(const toml::node& node);  // [[bounds]]

// Throws Code::bad_policy with the line of a syntax error.
toml::table parse_table(std::string_view text);

}  // namespace ferry::config
