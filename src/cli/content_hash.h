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

}  // namespace ferry::cli
