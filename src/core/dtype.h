// The element types of PyTorch: one row a type, from which names, sizes, storage classes and targets follow.
//
// Sources: c10/core/ScalarType.h (codes and sizes), torch/storage.py (_dtype_to_storage_type_map,
// _new_dtypes), and files written by PyTorch 1.1 … 2.13.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace ferry {

enum class DType : std::uint8_t {
  uint8,
  int8,
  int16,
  int32,
  int64,
  float16,
  float32,
  float64,
  complex32,
  complex64,
  complex128,
  boolean,
  qint8,
  quint8,
  qint32,
  bfloat16,
  quint4x2,
  quint2x4,
  bits1x8,
  bits2x4,
  bits4x2,
  bits8,
  bits16,
  float8_e5m2,
  float8_e4m3fn,
  float8_e5m2fnuz,
  float8_e4m3fnuz,
  uint16,
  uint32,
  uint64,
  float8_e8m0fnu,
  float4_e2m1fn_x2,
};

struct DTypeInfo {
  DType dtype;
  std::string_view name;           // as torch prints it, without "torch."
  std::string_view storage_class;  // "FloatStorage"; empty where PyTorch has none and saves an UntypedStorage
  std::uint8_t itemsize;           // bytes an element
  std::uint8_t swap_unit;  // bytes that change places when the byte order does (complex: one component)
  bool quantized;
};

const DTypeInfo& info(DType dtype);
std::span<const DTypeInfo> all_dtypes();
std::optional<DType> dtype_by_name(std::string_view name);  // "float32", also old names: "float", "half"
std::optional<DType> dtype_by_storage_class(std::string_view name);  // "FloatStorage"

}  // namespace ferry
