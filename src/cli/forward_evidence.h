// Two goldens, brought before the judge of forward passes.
#pragma once

#include <string>

#include "src/core/forward_verdict.h"
#include "src/core/golden.h"

namespace ferry::cli {

// A golden of a path.  Throws what open_file and open_golden throw.
Golden open_golden_file(const std::string& path);

// Numbers are read record by record; what has no float64 or no modules is judged by what is there.  Throws
// what reading a tensor throws, with the file.
ForwardVerdict compare_goldens(const Golden& before, const Golden& after, const ForwardBounds& bounds);

}  // namespace ferry::cli
