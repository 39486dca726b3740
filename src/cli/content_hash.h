// Hashes of what tensors hold, whatever container, order of bytes or strides they are stored in.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "src/core/checkpoint.h"
#include "validators/numeric/tensor_view.h"

namespace ferry::cli {

// XXH3-128, 32 digits, of the element type's name, a 0 byte, the number of axes and their sizes (64-bit
// little-endian) and the elements in row-major order, little-endian, lazy bits resolved: two tensors have one
// hash when torch.equal holds bit for bit and their types are the same.  Nothing for views whose elements
// repeat beyond all bounds.
std::optional<std::string> content_hash(const numeric::TensorView& view);

// Tensors that have one hash have one sample: type, shape, and the first and last elements.
struct ContentSample {
  std::uint64_t key = 0;
  bool constant = false;  // the elements that were read are one value
  bool whole = false;     // they are all there are
};
ContentSample content_sample(const numeric::TensorView& view);

// Of a tensor without data (meta): type and shape as above, behind "no data" and a 0 byte.
std::string no_data_hash(DType dtype, std::span<const std::int64_t> shape);

// Of a sparse, nested or quantized tensor, from all that it is: the name of its layout or scheme, a 0 byte,
// the axes and sizes of the whole, then its parts in order: of tensors the hash that `of_tensor` knows, of
// numbers (scale, zero point, axis) their 64 bits.  Scales and zero points of channels count the same as
// lists and as tensors; whether a sparse tensor is marked as coalesced does not count.
std::string composite_hash(const Checkpoint& checkpoint, NodeId composite,
                           const std::function<std::string(std::uint32_t tensor)>& of_tensor);

// A key that does not depend on the order of the elements, nor on their type where all of them are the same
// numbers: equal for a tensor, its transpose and its copy in a wider type.  Nothing for types without
// numbers, for fewer than two elements, for one number everywhere (that is equal by chance), and as above.
std::optional<std::string> value_key(const numeric::TensorView& view);

}  // namespace ferry::cli
