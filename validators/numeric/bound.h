// Judging a drift: tolerances, and nothing measured.
#pragma once

#include <span>
#include <string_view>

#include "src/core/bound.h"
#include "src/core/drift.h"

namespace ferry::numeric {

// Types that are not numeric are held to equal bits by any bound.  NaNPolicy::strict needs a drift that was
// measured: that of two equal tensors does not say whether they hold NaNs unless their blocks were looked at.
Verdict judge(const Drift& drift, const Bound& bound);

// The defaults of torch.testing.assert_close for a type, rtol and atol: float16 and complex32 (1e-3, 1e-5),
// bfloat16 (1.6e-2, 1e-5), float32, complex64 and quantized types (1.3e-6, 1e-5), float64 and complex128
// (1e-7, 1e-7), others (0, 0); for two types the larger of each.  Source: torch/testing/_comparison.py,
// _DTYPE_PRECISIONS of PyTorch 2.13.
Bound torch_testing_bound(DType before, DType after);

// What the rows say of one tensor; nothing but `nan` when none matches.  A row's own numbers outrank its
// table.  `quantized`: the tensor is a part of a quantized one (integers, scales, zero points). torch.testing
// compares the numbers that the parts make together, to which the tolerances of one part say nothing: where
// the table is asked for, parts have to be equal, and what is within it is close for torch.
Bound bound_for(std::span<const BoundRow> rows, std::string_view path, DType before, DType after,
                NaNPolicy nan, bool quantized = false);

}  // namespace ferry::numeric
