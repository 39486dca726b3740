// Models that stable-baselines3 saves: a zip archive of JSON and of files that torch.save wrote.
// FORMAT.md beside this file has the layout and its sources.
#pragma once

#include "src/core/checkpoint.h"
#include "src/core/likeness.h"
#include "src/core/limits.h"

namespace ferry::sb3 {

// To be asked before torch's own archives.
Likeness looks_like_sb3(const ByteSource& source);

// The root is a dict in the order of the archive: `data` (what JSON says of it), one entry for every .pth
// member under its name without the suffix, `_stable_baselines3_version` and `system_info`.  What cloudpickle
// wrote into `data` is never loaded: it is left out and noted.  The names in the pickles of all members are
// judged before any of them is believed.  Throws Code::unsafe_global, what zip::Archive::open, torch's
// readers and the reader of JSON throw.
Checkpoint open_sb3(SourcePtr source, const Limits& limits);

}  // namespace ferry::sb3
