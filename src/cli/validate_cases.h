// Test cases of one checkpoint, each from what was found of it.
#pragma once

#include <vector>

#include "src/cli/diff_file.h"
#include "src/cli/validate.h"
#include "src/core/checkpoint.h"
#include "validators/policy/test_case.h"

namespace ferry::cli {

// loads.weights_only, loads.mmap: what torch.load says of the file as it is.
std::vector<policy::TestCase> loading_cases(const Checkpoint& after);
// optimizer.fits
policy::TestCase optimizer_case(const Checkpoint& after);
// scaler.loads
policy::TestCase scaler_case(const Checkpoint& after);

// structure.changes: names, shapes, types, values and sharing are what the conversion of before has.
policy::TestCase structure_case(const report::FileDiff& file, const CheckOptions& options,
                                const Judgement& judgement);
// tensors.bit_equal, or tensors.within_bounds where there are bounds.
policy::TestCase tensors_case(const report::FileDiff& file, const CheckOptions& options,
                              const Judgement& judgement);

}  // namespace ferry::cli
