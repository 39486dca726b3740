// TorchScript archives as a source of weights: what torch.jit.save (and C++, and C#) wrote, PyTorch 1.0 …
// 2.x.  The program in code/ is never parsed.  FORMAT.md beside this file has the layouts and their sources.
#pragma once

#include "src/core/checkpoint.h"
#include "src/core/likeness.h"
#include "src/core/limits.h"

namespace ferry::torchscript {

// By the names in the directory: data.pkl with constants.pkl beside it, or model.json with a version.
Likeness looks_like_torchscript(const ByteSource& source);

// An OrderedDict of all tensors of the module; classes and plain attributes are remarks.  Every pickle of the
// archive is judged by the names in it, also those that are not needed.  Throws Code::bad_torchscript and
// what the reader of torch's archives throws.
Checkpoint open_torchscript(SourcePtr source, const Limits& limits);

}  // namespace ferry::torchscript
