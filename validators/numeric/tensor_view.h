// A tensor whose bytes can be read anywhere: neither compressed nor in pieces.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "src/core/bytes.h"
#include "src/core/dtype.h"

namespace ferry::numeric {

struct TensorView {
  const ByteSource* source = nullptr;  // outlives the view
  std::uint64_t offset = 0;            // of element (0, 0, …), in bytes
  DType dtype = DType::float32;
  bool big_endian = false;
  bool conjugated = false,
       negated = false;  // lazy bits: the value is the conjugate, the negative of the bytes
  std::span<const std::int64_t> shape;
  std::span<const std::int64_t> strides;  // in elements, ≥ 0; every element lies inside the source

  std::uint64_t numel() const;       // of a checked shape (src/core/checked.h): does not overflow
  std::uint64_t size_bytes() const;  // numel × itemsize; may wrap when strides of 0 repeat elements
  bool contiguous() const;           // row-major without gaps
};

}  // namespace ferry::numeric
