// Hypotheses about a change that can be tested element by element, all in one pass.
#pragma once

#include <optional>
#include <vector>

#include "src/core/drift.h"
#include "validators/numeric/joint_layout.h"

namespace ferry::numeric {

// Those that hold for every element: roundings, negated, scaled, shifted, zeros, constant; the most telling
// first, and none that another one makes idle (of zeros that they are a constant).  Needs a layout that is
// affordable.
std::vector<Explanation> explain_elements(const JointLayout& layout, const Drift& drift);

// How many elements became NaN, infinite or finite, each counted where it stands; nothing when none did.
std::optional<Explanation> explain_nonfinite(const JointLayout& layout, const Drift& drift);

}  // namespace ferry::numeric
