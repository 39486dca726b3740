// safetensors files: names, shapes and ranges in a JSON header, and the bytes of the tensors after it.
// FORMAT.md beside this file has the byte table and its sources.
#pragma once

#include <string>

#include "src/core/checkpoint.h"
#include "src/core/likeness.h"
#include "src/core/limits.h"

namespace ferry::safetensors {

// Reads nine bytes.  A file that is named .safetensors matches also when its header is damaged, as long as it
// can be nothing else: the person should hear what is wrong with it.
Likeness looks_like_safetensors(const ByteSource& source);

// One storage a tensor; the root is a dict of them in the order of the header.  Reads the header only.
// Metadata other than {"format": "pt"} is kept in a note.  Throws what read_header() throws.
Checkpoint open_safetensors(SourcePtr source, const Limits& limits);

}  // namespace ferry::safetensors
