// Which runs with rounded operands a run in reduced precision is held against.
#pragma once

#include <string_view>
#include <vector>

#include "src/core/forward_bounds.h"

namespace ferry::forward {

// tf32-rne and tf32-rz of "tf32": which of them hardware does differs.  "f32" in any other precision than
// IEEE has the same ones as the run that is named for that precision; in IEEE it has none.
std::vector<std::string_view> emulations_of(std::string_view run,
                                            RunPrecision precision = RunPrecision::ieee);

}  // namespace ferry::forward
