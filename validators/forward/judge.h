// The verdict on a forward pass: the same function of the input, and computed as exactly?
//
// Pure: no file is read here, and nothing is known of how a model runs.  src/core/forward_bounds.h says what
// is compared with what and where the constants come from.  Beyond those definitions:
//
// * E, the error that rounding explains, is the largest ‖e‖ of a record over the ordinary inputs.  An edge
// input (zeros,
//   tiny, large, another size) has a scale of its own: its E is its own ‖e‖, or the largest relative error of
//   the ordinary inputs times its ‖z‖.
// * An output that is less than u times its usual size (the median ‖z‖ over the inputs) is what cancellation
// left: its
//   floors are those of the usual size.  No fault hides there: in double that is 4.5e-13 of the usual size.
// * Numbers that are not finite must be so on both sides, and the same.  Integers and truth values must be
// equal.
// * Integers inside the model that differ in float64 count only where the real numbers of the next call
// differ, too:
//   equal keys may come in either order.
// * Where both float64 runs agree, an output whose float32 run turned at a decision (or whose integers
// differ) is
//   unstable, not wrong: a warning.
// * Modules count in the semantic test.  Rounding of a module by itself is a warning at most: errors cancel
// further on.
#pragma once

#include "src/core/forward_verdict.h"
#include "validators/forward/evidence.h"

namespace ferry::forward {

// Reads every number once, one record of both sides in memory at a time.  Throws what the sources of numbers
// throw.
ForwardVerdict judge_forward(const ForwardEvidence& evidence, const ForwardBounds& bounds);

}  // namespace ferry::forward
