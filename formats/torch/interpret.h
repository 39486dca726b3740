// From a decoded pickle to a checkpoint: storages, tensors, plain values.
#pragma once

#include "formats/torch/storages.h"
#include "src/core/limits.h"

namespace ferry::torch {

// Replaces all persistent ids and calls of checkpoint.values by what they mean; `table` has resolved the ids
// before and the reader has placed every storage.  After it the graph holds plain values, tensors and
// storages only. Throws Code::bad_tensor, bad_call, unsafe_global, unsupported_value, unsupported_tensor,
// key_collision.
void interpret(Checkpoint& checkpoint, StorageTable& table, const Limits& limits);

}  // namespace ferry::torch
