// The readers of torch's own containers.  FORMAT.md beside this file has the byte tables and their sources.
#pragma once

#include "formats/torch/losses.h"
#include "src/core/checkpoint.h"
#include "src/core/likeness.h"
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

// The tar archive of torch.save in PyTorch ≤ 0.1.9.  The probe is that of any tar archive: one that holds
// other things is named.
Checkpoint open_tar(SourcePtr source, const Limits& limits);

// The same containers, damaged or cut: as long as the pickle is whole, the checkpoint is made, and `losses`
// says which storages must not be used.  Every storage that is not among them was found as it was written, as
// far as the container can tell: zip archives are checked by CRC, the others have none. Throws what the
// readers throw, where the pickle is damaged or what remains contradicts itself.
Checkpoint salvage_zip(SourcePtr source, const Limits& limits, Losses& losses);
Checkpoint salvage_legacy(SourcePtr source, const Limits& limits, Losses& losses);
Checkpoint salvage_tar(SourcePtr source, const Limits& limits, Losses& losses);
// Pickles without a container, as pickle.dump writes them: one value, or, of several one after the other, the
// list of their values.  The names in all of them are judged before any of them is believed; bytes behind the
// last one that are no pickle are an error, unless they are blank.
Likeness looks_like_pickle(const ByteSource& source);
Checkpoint open_pickle(SourcePtr source, const Limits& limits);

}  // namespace ferry::torch
