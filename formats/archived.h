// Zip archives that are no checkpoint, but hold one: model.zip with model.pth in it.
#pragma once

#include "src/core/checkpoint.h"
#include "src/core/likeness.h"
#include "src/core/limits.h"

namespace ferry {

// To be asked after every format that is a zip archive of its own, and before torch's.
Likeness looks_archived(const ByteSource& source);

// The one member that has the suffix of a checkpoint, in any format but another such archive.  Throws
// Code::unsupported_container with the names where there are several.
Checkpoint open_archived(SourcePtr source, const Limits& limits);

}  // namespace ferry
