// What a verdict is made from: two goldens, their numbers, and the table of known changes.
#pragma once

#include <span>

#include "src/core/golden.h"
#include "src/core/known_change.h"
#include "validators/forward/numbers.h"

namespace ferry::forward {

struct ForwardEvidence {
  const Golden& before;  // the old environment
  const NumberSource& before_numbers;
  const Golden& after;
  const NumberSource& after_numbers;
  std::span<const KnownChange> changes = {};  // for the ranking of causes; may be empty
};

}  // namespace ferry::forward
