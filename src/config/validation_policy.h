// A policy of `validate`, in TOML:
//
//   [defaults]                      # what every checkpoint says that does not say otherwise
//   device = "cpu"                  # auto, cpu, cuda
//
//   [[checkpoint]]
//   before = "old/*.pth.tar"        # a file, a folder or a pattern, relative to the policy
//   after = "new/*.pth.tar"
//   expect = ["TF501", "TF502"]     # the changes that the conversion makes, no more and no less
//   allow_added = ["optimizer.param_groups.*.decoupled_weight_decay"]
//
//   [[checkpoint]]
//   name = "generator"
//   before = "old/checkpoint.th"
//   after = "new/checkpoint.th"
//   select = "models.generator.state"
//   model = "exported/generator.pt2"
//   golden = "goldens/generator.h5"
//   runs = ["autocast-bf16"]        # precision modes beyond the exact check
//   require_gpu = true
//
//   [[checkpoint.bounds]]           # as in a policy of diff
//   name = "head.*"
//   rtol = 1e-5
#pragma once

#include <string_view>

#include "validators/policy/policy.h"

namespace ferry::config {

// Throws Code::bad_policy with line and column: a syntax error, an unknown key, a wrong type, a checkpoint
// without its two sides, no checkpoint at all.
policy::Policy parse_validation_policy(std::string_view text);

}  // namespace ferry::config
