// What a policy of `validate` says: which checkpoints are checked, and by what.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/core/bound.h"
#include "src/core/dtype.h"

namespace ferry::policy {

// One [[checkpoint]]; what it does not say is what [defaults] says, and what that does not say is what the
// command line would do.  Lists of a checkpoint are added to those of the defaults.
struct CheckpointPolicy {
  std::string name;                  // of the suite; empty: that of the file
  std::string before, after;         // files, folders or patterns, as written
  std::string model, golden, rerun;  // as written; empty: no forward pass

  std::optional<std::string> device;  // "auto", "cpu", "cuda"
  std::optional<bool> require_gpu;
  std::vector<std::string> runs;  // precision modes beyond the exact check
  std::optional<double> semantic, rounding, rounding_inf, sides, reduced, reduced_inf;  // as in ForwardBounds
  std::vector<std::string> unstable;  // globs: outputs that hang on decisions
  std::optional<std::string> layout;  // "clean", "keep"
  std::string select, map;
  std::vector<std::string> includes, excludes;
  std::vector<std::pair<std::string, std::string>> renames;  // regular expression, replacement
  std::optional<DType> dtype;
  std::optional<NaNPolicy> nan;
  std::optional<bool> check_dtype;
  std::vector<BoundRow> bounds;
  std::vector<std::string> ignores, allowed_removed, allowed_added;
  std::vector<std::string> expect;   // codes of changes
  std::vector<std::string> without;  // globs: names of checks
};

struct Policy {
  std::vector<CheckpointPolicy> checkpoints;  // defaults are in them already
};

}  // namespace ferry::policy
