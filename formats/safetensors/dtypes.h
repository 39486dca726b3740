// Names of element types in safetensors headers.
// Source: safetensors 0.8, src/tensor.rs (enum Dtype) and bindings/python/src/lib.rs (how torch reads them).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "src/core/dtype.h"

namespace ferry::safetensors {

struct DTypeName {
  std::string_view name;
  std::uint8_t bits;           // an element
  std::optional<DType> dtype;  // nothing where torch has no such type
};

inline constexpr auto kDTypeNames = std::to_array<DTypeName>({
    {"F32", 32, DType::float32},
    {"F16", 16, DType::float16},
    {"BF16", 16, DType::bfloat16},
    {"F64", 64, DType::float64},
    {"I64", 64, DType::int64},
    {"I32", 32, DType::int32},
    {"I16", 16, DType::int16},
    {"I8", 8, DType::int8},
    {"U8", 8, DType::uint8},
    {"U16", 16, DType::uint16},
    {"U32", 32, DType::uint32},
    {"U64", 64, DType::uint64},
    {"BOOL", 8, DType::boolean},
    {"C64", 64, DType::complex64},
    {"F8_E4M3", 8, DType::float8_e4m3fn},
    {"F8_E5M2", 8, DType::float8_e5m2},
    {"F8_E8M0", 8, DType::float8_e8m0fnu},
    {"F8_E4M3FNUZ", 8, DType::float8_e4m3fnuz},
    {"F8_E5M2FNUZ", 8, DType::float8_e5m2fnuz},
    {"F4", 4, DType::float4_e2m1fn_x2},
    {"F6_E2M3", 6, std::nullopt},
    {"F6_E3M2", 6, std::nullopt},
});

// nullptr for a name that the format does not have; upper case only.
inline const DTypeName* find_dtype_name(std::string_view name) {
  for (const DTypeName& row : kDTypeNames)
    if (row.name == name) return &row;
  return nullptr;
}

}  // namespace ferry::safetensors
