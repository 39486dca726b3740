// The kernels: two blocks of elements side by side, one pass, any two types.
#pragma once

#include <cstdint>

#include "src/core/bytes.h"
#include "src/core/drift.h"

namespace ferry::numeric {

// False for types whose elements are parts of bytes (quint4x2, bits8, float4 …): only their bits are
// compared.
bool is_numeric(DType dtype);

// Adds the pairs of two blocks to `drift`, whose types say what the bytes are: contiguous little-endian
// elements, as many in `before` as in `after`, aligned to nothing.  `first` is the row-major index of the
// first of them; blocks must come in growing order.  Types that are not numeric must be the same on both
// sides; then only elements, bits_differing, bits_flipped, differing and worst are counted.
void measure_block(Bytes before, Bytes after, std::uint64_t first, Drift& drift);

}  // namespace ferry::numeric
