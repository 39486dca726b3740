#include "validators/replay/types.h"

#include <array>

#include "src/core/error.h"

namespace ferry::replay {
namespace {

struct TypeRow {
  DType dtype;
  c10::ScalarType type;
};

constexpr auto kTypes = std::to_array<TypeRow>({
    {DType::uint8, c10::ScalarType::Byte},
    {DType::int8, c10::ScalarType::Char},
    {DType::int16, c10::ScalarType::Short},
    {DType::int32, c10::ScalarType::Int},
    {DType::int64, c10::ScalarType::Long},
    {DType::float16, c10::ScalarType::Half},
    {DType::float32, c10::ScalarType::Float},
    {DType::float64, c10::ScalarType::Double},
    {DType::complex32, c10::ScalarType::ComplexHalf},
    {DType::complex64, c10::ScalarType::ComplexFloat},
    {DType::complex128, c10::ScalarType::ComplexDouble},
    {DType::boolean, c10::ScalarType::Bool},
    {DType::bfloat16, c10::ScalarType::BFloat16},
    {DType::uint16, c10::ScalarType::UInt16},
    {DType::uint32, c10::ScalarType::UInt32},
    {DType::uint64, c10::ScalarType::UInt64},
    {DType::float8_e5m2, c10::ScalarType::Float8_e5m2},
    {DType::float8_e4m3fn, c10::ScalarType::Float8_e4m3fn},
    {DType::float8_e5m2fnuz, c10::ScalarType::Float8_e5m2fnuz},
    {DType::float8_e4m3fnuz, c10::ScalarType::Float8_e4m3fnuz},
    {DType::float8_e8m0fnu, c10::ScalarType::Float8_e8m0fnu},
});

}  // namespace

c10::ScalarType scalar_type_of(DType dtype) {
  for (const TypeRow& row : kTypes)
    if (row.dtype == dtype) return row.type;
  throw Error(Code::unsupported_tensor,
              "tensors of the type " + std::string(info(dtype).name) + " cannot be computed with");
}

DType dtype_of(c10::ScalarType type) {
  for (const TypeRow& row : kTypes)
    if (row.type == type) return row.dtype;
  throw Error(Code::unsupported_tensor,
              std::string("tensors of the type ") + c10::toString(type) + " cannot be recorded");
}

c10::Layout layout_of(pt2::Layout layout) {
  switch (layout) {
    case pt2::Layout::sparse_coo:
      return c10::Layout::Sparse;
    case pt2::Layout::sparse_csr:
      return c10::Layout::SparseCsr;
    case pt2::Layout::sparse_csc:
      return c10::Layout::SparseCsc;
    case pt2::Layout::sparse_bsr:
      return c10::Layout::SparseBsr;
    case pt2::Layout::sparse_bsc:
      return c10::Layout::SparseBsc;
    case pt2::Layout::mkldnn:
      return c10::Layout::Mkldnn;
    case pt2::Layout::strided:
      break;
  }
  return c10::Layout::Strided;
}

c10::MemoryFormat memory_format_of(pt2::MemoryFormat format) {
  switch (format) {
    case pt2::MemoryFormat::channels_last:
      return c10::MemoryFormat::ChannelsLast;
    case pt2::MemoryFormat::channels_last_3d:
      return c10::MemoryFormat::ChannelsLast3d;
    case pt2::MemoryFormat::preserve:
      return c10::MemoryFormat::Preserve;
    case pt2::MemoryFormat::contiguous:
      break;
  }
  return c10::MemoryFormat::Contiguous;
}

at::Tensor widened(const at::Tensor& tensor) {
  if (!tensor.defined()) return tensor;
  if (tensor.scalar_type() == at::kFloat) return tensor.to(at::kDouble);
  return tensor.scalar_type() == at::kComplexFloat ? tensor.to(at::kComplexDouble) : tensor;
}

}  // namespace ferry::replay
