// Reading all bytes of a checkpoint and comparing every checksum.
#pragma once

#include "src/core/checkpoint.h"
#include "src/core/limits.h"
#include "src/report/inspection.h"

namespace ferry::cli {

// Damage is a result, not an error; throws what the source throws.
report::CheckFacts check_records(const Checkpoint& checkpoint, const Limits& limits);

}  // namespace ferry::cli
