// Hashes of what tensors hold, whatever container, order of bytes or strides they are stored in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

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

// A key that does not depend on the order of the elements, nor on their type where all of them are the same
// numbers: equal for a tensor, its transpose and its copy in a wider type.  Nothing for types without
// numbers, for fewer than two elements, for one number everywhere (that is equal by chance), and as above.
std::optional<std::string> value_key(const numeric::TensorView& view);

}  // namespace ferry::cli
