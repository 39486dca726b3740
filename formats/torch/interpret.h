// From a decoded pickle to a checkpoint: storages, tensors, plain values.
#pragma once

#include <functional>

#include "formats/python/interpret.h"
#include "formats/torch/storages.h"
#include "src/core/limits.h"

namespace ferry::torch {

// Replaces all persistent ids and calls of checkpoint.values by what they mean; `table` has resolved the ids
// before and the reader has placed every storage.  After it the graph holds plain values, tensors and
// storages only. Throws Code::bad_tensor, bad_call, unsafe_global, unsupported_value, unsupported_tensor,
// key_collision.  `origin` says where the pickle lies: numpy arrays and nested checkpoints in it then point
// into the file; without it their bytes are copied.  `first` is asked for the meaning of every call before
// torch and Python are; it may also put the arguments into the form that torch.save writes, and leave the
// call to them.
void interpret(Checkpoint& checkpoint, StorageTable& table, const Limits& limits,
               const python::Origin& origin = {}, const std::function<bool(python::Call&)>& first = {});

}  // namespace ferry::torch
