// What stands in the index tensors of sparse and nested tensors.
//
// PyTorch does not look by default (torch.sparse.check_sparse_tensor_invariants): an index that lies outside
// is read beyond memory by whoever uses the tensor.
#pragma once

#include "src/core/checkpoint.h"

namespace ferry::copy {

// Reads the indices of every composite tensor that the root reaches, in blocks, and compares them with its
// size: coordinates lie inside; compressed indices start at 0, never fall, and end at the number of entries;
// the tensors of a nested one lie inside its values.  Throws Code::bad_tensor, and what reading a storage
// throws; Code::limit_exceeded for indices of more than 64 MiB whose elements overlap.
void check_indices(const Checkpoint& checkpoint);

}  // namespace ferry::copy
