// torch.export archives (.pt2) as checkpoints.  FORMAT.md beside this file has the tables and their sources.
#pragma once

#include "src/core/checkpoint.h"
#include "src/core/likeness.h"
#include "src/core/limits.h"

namespace ferry::pt2 {

// A zip archive with a record `archive_format` that says "pt2" below its one folder; or one of the layouts
// that torch 2.1 … 2.7 wrote, which open_pt2 then refuses by name.  To be asked before torch's own archives.
Likeness looks_like_pt2(const ByteSource& source);

// The root is a dict of the state_dict's tensors; the graph is read and checked, and left out.
Checkpoint open_pt2(SourcePtr source, const Limits& limits);

}  // namespace ferry::pt2
