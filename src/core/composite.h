// Tensors that torch makes of other tensors (Kind::composite), and what their parts must be.
//
// Source: torch/_utils.py (_rebuild_sparse_tensor, _rebuild_nested_tensor, _rebuild_qtensor),
// aten/src/ATen/native/sparse/SparseTensor.cpp and SparseCsrTensor.cpp (the invariants),
// aten/src/ATen/native/nested/NestedTensorFactories.cpp, 1.1 … 2.13.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "src/core/checkpoint.h"

namespace ferry {

// The sizes in a tuple or torch.Size; nullopt for anything but a list of counts.
std::optional<std::vector<std::int64_t>> sizes_of(const ValueGraph& graph, NodeId node);

// Kinds, dtypes and shapes of the parts against each other; no tensor byte is read.  Throws Code::bad_tensor.
// What stands in the indices is the business of copy::check_indices.
void check_parts(const Checkpoint& checkpoint, Composite form, std::span<const NodeId> parts);

// The shape of the whole: what torch says for `t.shape`.  Of a nested tensor, which has none, the number of
// tensors.  The parts have been checked.
std::vector<std::int64_t> shape_of(const Checkpoint& checkpoint, NodeId composite);

// The tensor that holds the values: of a sparse or nested one the values, of a quantized one the integers.
const Tensor& values_of(const Checkpoint& checkpoint, NodeId composite);

}  // namespace ferry
