// Writing .npy: what stands before the data of an array.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "src/core/dtype.h"

namespace ferry::numpy {

// The element type as a header names it; empty where numpy has none that its own loader reads back.
std::string_view descr_of(DType dtype);

// Magic bytes, version and header as numpy writes them for an array in C order: a multiple of 64 bytes.
// Throws Code::target_lacks for a type without a name or more dimensions than numpy has.
std::string array_header(DType dtype, std::span<const std::int64_t> shape);

}  // namespace ferry::numpy
