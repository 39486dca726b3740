// The verdict on one record for one input.
#pragma once

#include "src/core/forward_verdict.h"
#include "validators/forward/measured.h"
#include "validators/forward/scales.h"

namespace ferry::forward {

// How verdicts are reached in one comparison: whether two float64 runs can be held against each other.
struct Method {
  const ForwardBounds& bounds;
  bool semantic = false;
};

ForwardRow judge_row(const Measured& record, const RecordScale& scale, const Method& method);

// Whether the record is another function of the input, and how far it is away: of what was measured in
// float64 where that counts, else by its distance from what its own rounding explains.
struct Divergence {
  bool diverges = false;
  Yardstick distance;
};
Divergence divergence_of(const Measured& record, const RecordScale& scale, const Method& method);

Yardstick semantic_yardstick(const Measured& record, const RecordScale& scale, const ForwardBounds& bounds);

}  // namespace ferry::forward
