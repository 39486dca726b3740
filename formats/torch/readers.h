// The readers of torch's own containers.  FORMAT.md beside this file has the byte tables and their sources.
#pragma once

#include "src/core/checkpoint.h"
#include "src/core/limits.h"

namespace ferry::torch {

// The zip archive of torch.save: PyTorch 1.4 (opt-in, storages under tensors/) and 1.6 … 2.x.
// After it, every storage that the pickle names has its record, of exactly its size.
Checkpoint open_zip(SourcePtr source, const Limits& limits);

// The stream of pickles and storages of torch.save in PyTorch 0.1.10 … 1.5 (and later by
// _use_new_zipfile_serialization=False).  Every storage is delivered exactly once; the format has no
// checksums.
bool starts_like_legacy(const ByteSource& source);
Checkpoint open_legacy(SourcePtr source, const Limits& limits);

}  // namespace ferry::torch
