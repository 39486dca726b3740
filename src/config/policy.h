// A policy file of `diff` (and of `validate` with two sides): what it allows, in TOML.
//
//   nan = "strict"                 # a NaN equals nothing; default "equal"
//   check_dtype = false            # another element type alone is no difference; default true
//   ignore = ["optimizer.*"]       # differences there do not count
//   allow_removed = ["*.num_batches_tracked"]
//   allow_added = []
//
//   [[bounds]]                     # later rows override earlier ones, number by number
//   name = "*"                     # a glob over dotted paths
//   rtol = 1e-5
//   atol = 1e-8
//
//   [[bounds]]
//   name = "head.*"
//   ulp = 4
//   torch_testing = true           # rtol and atol of torch.testing for the tensor's type
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/bound.h"

namespace ferry::config {

struct Policy {
  std::optional<NaNPolicy> nan;
  std::optional<bool> check_dtype;
  std::vector<BoundRow> bounds;
  std::vector<std::string> ignores, allowed_removed, allowed_added;
};

// Throws Code::bad_policy with line and column of what cannot be understood: a syntax error, an unknown key,
// a wrong type, a number that is negative or no number.
Policy parse_policy(std::string_view text);

}  // namespace ferry::config
