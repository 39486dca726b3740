// Statistics of every tensor of a checkpoint, in bounded memory.
#pragma once

#include <vector>

#include "src/core/checkpoint.h"
#include "src/report/inspection.h"

namespace ferry::cli {

// In the order of report::each_tensor.  A storage with a checksum is read as a whole before it is measured; a
// tensor whose elements overlap, or that is one of too many on one storage, is not measured and says so.
// Throws what reading throws: Code::checksum_mismatch, Code::bad_deflate.
std::vector<report::StatisticsFacts> measure_tensors(const Checkpoint& checkpoint);

}  // namespace ferry::cli
