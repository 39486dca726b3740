// Tensors that hold what another one held before: copied, retied, or changed places.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "src/cli/opened.h"
#include "src/core/executor.h"
#include "src/report/difference.h"
#include "validators/structure/pairing.h"

namespace ferry::cli {

// What is said of a row, before the path of the other tensor.
inline constexpr std::string_view kSwapped = "changed places with ", kCopied = "holds what was in ";

// Of the given rows, which are explained otherwise already, those whose tensor of after is, type, shape and
// bits, another tensor of before (whatever became of that one: unchanged, changed or removed) get that as
// their first explanation.  Of single numbers and of one value everywhere only an exchange is told: copies of
// those are equal by chance.  Reads a few elements of the tensors whose shapes fit, and all of those that
// agree in these.
void explain_exchanges(const structure::Pairing& pairing, std::span<const std::size_t> rows,
                       const TensorViews& before, const TensorViews& after, Executor& executor,
                       report::FileDiff& file);

}  // namespace ferry::cli
