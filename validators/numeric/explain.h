// What happened to a tensor, in words: hypotheses that are tested on every element before they are said.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "src/core/drift.h"
#include "validators/numeric/tensor_view.h"

namespace ferry::numeric {

// The best explanation first; empty when none holds.  `name` is the last part of the tensor's path
// (running_mean). For pairs of two shapes (then `drift` is null) only transposition is tried.  Reads the
// tensors again, in bounded memory, and gives up a hypothesis at the first element that contradicts it.
std::vector<Explanation> explain_drift(const TensorView& before, const TensorView& after, const Drift* drift,
                                       std::string_view name);

// The order of axes under which `after` holds the elements of `before`, of two types the same numbers; both
// may have any shape.
std::optional<std::vector<std::size_t>> find_transposition(const TensorView& before, const TensorView& after);

}  // namespace ferry::numeric
