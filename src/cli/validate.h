// `torchferry validate`: every promise of a conversion as a test case, for people and for CI.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "src/cli/diff.h"
#include "src/core/dtype.h"
#include "src/core/forward_bounds.h"

namespace ferry::cli {

// How the forward pass is run again; nothing is run without a model and a golden.
struct DriftOptions {
  std::string model;   // .pt2 or TorchScript
  std::string golden;  // what the recorder wrote on the old machine
  std::string rerun;   // what it wrote in the new environment, in the place of a model
  std::string device = "auto";
  ForwardBounds bounds;
  bool require_gpu = false;       // no GPU is a failure
  std::vector<std::string> runs;  // precision modes beyond the exact check: "tf32", "autocast-bf16" …
};

// What is asked of one checkpoint, or of all files of two folders.
struct CheckOptions {
  DiffOptions diff;  // the two sides, what is compared, bounds
  DriftOptions drift;
  std::optional<DType> dtype;        // after is before, rounded to this type
  std::vector<std::string> expect;   // codes: the changes that the conversion makes, no more and no less
  std::vector<std::string> without;  // globs: names of cases that are not wanted
  std::string name;                  // of the suite; empty: that of the file
};

struct ValidateOptions {
  CheckOptions check;                // of BEFORE and AFTER; with one path, it is a policy or an archive
  std::vector<std::string> reports;  // files whose suffix says the form
  std::string junit, sarif, markdown;
  std::string save;  // an HDF5 archive of what was measured
  bool force = false;
  bool json = false, quiet = false, all = false;
  bool progress = true, color = false;
  std::size_t width = 0;
};

// Prints to stdout, messages to stderr; returns 0 when all cases passed or were skipped, 1 when one failed, 2
// when something could not be done, 3 when something was refused.
int run_validate(const ValidateOptions& options);

}  // namespace ferry::cli
