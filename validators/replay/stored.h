// Tensors of a checkpoint in memory, and tensors of a run as bytes.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <vector>

#include "src/core/checkpoint.h"

namespace ferry::replay {

// Reads storages once each, inflated, in native byte order, their checksums checked.  Tensors that share a
// storage in the checkpoint share memory here.
class StoredTensors {
 public:
  explicit StoredTensors(const Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  // With the strides of the file.  Throws what reading throws, Code::unsupported_tensor.
  at::Tensor load(std::uint32_t tensor);
  void forget() { storages_.clear(); }  // tensors that were loaded keep what they need

 private:
  at::Tensor storage(std::uint32_t index);

  const Checkpoint& checkpoint_;
  std::map<std::uint32_t, at::Tensor> storages_;  // as bytes
};

// A tensor as it is written down: on the processor, contiguous, without lazy bits.
struct FlatTensor {
  at::Tensor kept;  // owns the bytes
  DType dtype = DType::float32;
  std::vector<std::int64_t> shape;
  Bytes bytes;
};
FlatTensor flat_copy(const at::Tensor& tensor);

}  // namespace ferry::replay
