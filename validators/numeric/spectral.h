// The size of a change as a layer feels it: σ₁(after − before) / σ₁(before), the ratio of largest singular
// values.
//
// An indication of effect, no bound: over a whole network √Σ of the squares has been seen between 0.1 and 5
// times the drift of the output.
#pragma once

#include <cstdint>
#include <optional>

#include "validators/numeric/tensor_view.h"

namespace ferry::numeric {

// Of two tensors of one shape with two axes or more, flattened to (axis 0) × (all others); nothing for
// others, for types that are not numeric or complex, for non-finite values and for more than `elements_max`
// elements.  To about three digits; the same on every run; infinite when before is all zeros.
std::optional<double> spectral_ratio(const TensorView& before, const TensorView& after,
                                     std::uint64_t elements_max);

}  // namespace ferry::numeric
