// Element types, layouts and memory formats of checkpoints and graphs as ATen numbers them.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Layout.h>
#include <c10/core/MemoryFormat.h>
#include <c10/core/ScalarType.h>

#include "formats/pt2/graph.h"
#include "src/core/dtype.h"

namespace ferry::replay {

// Throws Code::unsupported_tensor for a type that has no counterpart.
c10::ScalarType scalar_type_of(DType dtype);
DType dtype_of(c10::ScalarType type);
c10::Layout layout_of(pt2::Layout layout);
c10::MemoryFormat memory_format_of(pt2::MemoryFormat format);

// float32 as float64, complex64 as complex128; every other tensor, also an undefined one, as it is.
at::Tensor widened(const at::Tensor& tensor);

}  // namespace ferry::replay
