// HDF5 files as checkpoints: groups are dicts, datasets are tensors, strings are text.
#pragma once

#include <string>

#include "src/core/checkpoint.h"
#include "src/core/likeness.h"
#include "src/core/limits.h"

namespace ferry::hdf5 {

// Looks for the signature where the format allows it: at 0, 512, 1024, 2048 …
Likeness looks_like_hdf5(const ByteSource& source);

// Reads everything but payloads; several names of one dataset are one tensor.  Attributes, and links that are
// not followed, are told in notes.  Throws what File::open throws, and Code::unsupported_tensor, with the
// path, for a dataset that is neither numbers nor strings.
Checkpoint open_hdf5(SourcePtr source, const Limits& limits);

// The same, of a file that is open: for who also needs what no checkpoint holds, such as attributes.  The
// keys of storages are the paths of the datasets, "/model/w".
class File;
Checkpoint checkpoint_of(const File& file);

}  // namespace ferry::hdf5
