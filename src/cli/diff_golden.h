// `torchferry diff` of two goldens: not what is stored differently, but whether one function made both.
#pragma once

#include "src/cli/diff.h"

namespace ferry::cli {

// True when both paths are goldens.
bool are_goldens(const DiffOptions& options);

// Prints the forward verdict; returns 0 pass or warn, 1 fail, 2 nothing could be judged or a report was not
// written. Throws Code::bad_usage for options that mean nothing here, and what opening and reading throw.
int run_diff_golden(const DiffOptions& options);

}  // namespace ferry::cli
