// Goldens, from npz and HDF5.
#pragma once

#include "src/core/golden.h"
#include "src/core/limits.h"

namespace ferry::golden {

// True for an npz or HDF5 file that says of itself that it is a golden, whatever its version.  A file that
// cannot be read is none: whoever opens it as something else will say why.
bool is_golden(const SourcePtr& source, const Limits& limits);

// Everything but numbers is read and checked (FORMAT.md, "What the reader checks").  Throws Code::bad_golden
// with the path, Code::bad_version for another layout, Code::unknown_format for what is neither npz nor HDF5,
// and what the readers of these throw.
Golden open_golden(SourcePtr source, const Limits& limits);

}  // namespace ferry::golden
