// One file from bytes to bytes, as named steps.
#pragma once

#include <cstdint>
#include <functional>

#include "src/cli/convert.h"
#include "src/core/executor.h"
#include "src/report/conversion.h"

namespace ferry::cli {

// Called with the bytes of the source that were dealt with since the last call, at most its size in all.
using ConsumedFunction = std::function<void(std::uint64_t)>;

// Fills `report` as far as it comes; throws what stopped it.  When it throws, the destination is as it was.
void convert_file(const Job& job, const ConvertOptions& options, Executor& executor,
                  const ConsumedFunction& consumed, report::FileReport& report);

}  // namespace ferry::cli
