// Elements of a tensor in row-major order, whatever their order in the source.
#pragma once

#include <cstdint>
#include <span>

#include "validators/numeric/tensor_view.h"

namespace ferry::numeric {

// A box of indices: for every axis a first index and a count.
struct Box {
  std::span<const std::int64_t> first, count;
};

// Fills `out` with the elements of the box in row-major order: little-endian, conjugated and negated as the
// view says.  Reads each run of neighbours once, larger runs where that costs less than many small ones.
void read_box(const TensorView& view, const Box& box, std::span<std::byte> out);

// Elements [first, first + count) in row-major order, the same way.
void read_elements(const TensorView& view, std::uint64_t first, std::uint64_t count,
                   std::span<std::byte> out);

}  // namespace ferry::numeric
