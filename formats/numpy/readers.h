// numpy's own files: single arrays (.npy) and archives of them (.npz).  FORMAT.md beside this file has the
// byte tables and their sources.
#pragma once

#include <string>

#include "src/core/checkpoint.h"
#include "src/core/likeness.h"
#include "src/core/limits.h"

namespace ferry::numpy {

// One array.  Numbers are a tensor, which is the root.  Text becomes nested lists; objects are read from
// their pickle by the rules of torch's own pickles, with refusal of unsafe names. Throws Code::unsafe_global,
// truncated, bad_npy, bad_version, limit_exceeded, unsupported_value, and what the reading of a pickle
// throws.
Likeness looks_like_npy(const ByteSource& source);
Checkpoint open_npy(SourcePtr source, const Limits& limits);

// A zip archive whose first record is an array, or that is named .npz.  To be asked before torch's own
// archives, which never begin so.
Likeness looks_like_npz(const ByteSource& source);

// The root is a dict of the arrays, under the names of the members without ".npy", in the order of the
// archive.  Members of other names are left out and noted.  Nothing is inflated but headers and texts.
// Throws what open_npy and zip::Archive::open throw; arrays of objects are refused or unsupported.
Checkpoint open_npz(SourcePtr source, const Limits& limits);

}  // namespace ferry::numpy
