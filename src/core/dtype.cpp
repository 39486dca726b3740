#include "src/core/dtype.h"

#include <array>
#include <utility>

namespace ferry {
namespace {

constexpr std::array kTypes = {
    DTypeInfo{DType::uint8, "uint8", "ByteStorage", 1, 1, false},
    DTypeInfo{DType::int8, "int8", "CharStorage", 1, 1, false},
    DTypeInfo{DType::int16, "int16", "ShortStorage", 2, 2, false},
    DTypeInfo{DType::int32, "int32", "IntStorage", 4, 4, false},
    DTypeInfo{DType::int64, "int64", "LongStorage", 8, 8, false},
    DTypeInfo{DType::float16, "float16", "HalfStorage", 2, 2, false},
    DTypeInfo{DType::float32, "float32", "FloatStorage", 4, 4, false},
    DTypeInfo{DType::float64, "float64", "DoubleStorage", 8, 8, false},
    DTypeInfo{DType::complex32, "complex32", "", 4, 2, false},
    DTypeInfo{DType::complex64, "complex64", "ComplexFloatStorage", 8, 4, false},
    DTypeInfo{DType::complex128, "complex128", "ComplexDoubleStorage", 16, 8, false},
    DTypeInfo{DType::boolean, "bool", "BoolStorage", 1, 1, false},
    DTypeInfo{DType::qint8, "qint8", "QInt8Storage", 1, 1, true},
    DTypeInfo{DType::quint8, "quint8", "QUInt8Storage", 1, 1, true},
    DTypeInfo{DType::qint32, "qint32", "QInt32Storage", 4, 4, true},
    DTypeInfo{DType::bfloat16, "bfloat16", "BFloat16Storage", 2, 2, false},
    DTypeInfo{DType::quint4x2, "quint4x2", "QUInt4x2Storage", 1, 1, true},
    DTypeInfo{DType::quint2x4, "quint2x4", "QUInt2x4Storage", 1, 1, true},
    DTypeInfo{DType::bits1x8, "bits1x8", "", 1, 1, false},
    DTypeInfo{DType::bits2x4, "bits2x4", "", 1, 1, false},
    DTypeInfo{DType::bits4x2, "bits4x2", "", 1, 1, false},
    DTypeInfo{DType::bits8, "bits8", "", 1, 1, false},
    DTypeInfo{DType::bits16, "bits16", "", 2, 2, false},
    DTypeInfo{DType::float8_e5m2, "float8_e5m2", "", 1, 1, false},
    DTypeInfo{DType::float8_e4m3fn, "float8_e4m3fn", "", 1, 1, false},
    DTypeInfo{DType::float8_e5m2fnuz, "float8_e5m2fnuz", "", 1, 1, false},
    DTypeInfo{DType::float8_e4m3fnuz, "float8_e4m3fnuz", "", 1, 1, false},
    DTypeInfo{DType::uint16, "uint16", "", 2, 2, false},
    DTypeInfo{DType::uint32, "uint32", "", 4, 4, false},
    DTypeInfo{DType::uint64, "uint64", "", 8, 8, false},
    DTypeInfo{DType::float8_e8m0fnu, "float8_e8m0fnu", "", 1, 1, false},
    DTypeInfo{DType::float4_e2m1fn_x2, "float4_e2m1fn_x2", "", 1, 1, false},
};

// Other spellings under which torch knows the same type.
constexpr std::array<std::pair<std::string_view, DType>, 10> kAliases = {{
    {"float", DType::float32},
    {"double", DType::float64},
    {"half", DType::float16},
    {"short", DType::int16},
    {"int", DType::int32},
    {"long", DType::int64},
    {"chalf", DType::complex32},
    {"cfloat", DType::complex64},
    {"cdouble", DType::complex128},
    {"complex", DType::complex64},
}};

constexpr bool rows_match_enumerators() {
  for (std::size_t i = 0; i < kTypes.size(); ++i)
    if (static_cast<std::size_t>(kTypes[i].dtype) != i) return false;
  return true;
}
static_assert(rows_match_enumerators());

}  // namespace

const DTypeInfo& info(DType dtype) { return kTypes[static_cast<std::size_t>(dtype)]; }
std::span<const DTypeInfo> all_dtypes() { return kTypes; }

std::optional<DType> dtype_by_name(std::string_view name) {
  for (const DTypeInfo& row : kTypes)
    if (row.name == name) return row.dtype;
  for (const auto& [alias, dtype] : kAliases)
    if (alias == name) return dtype;
  return std::nullopt;
}

std::optional<DType> dtype_by_storage_class(std::string_view name) {
  if (name.empty()) return std::nullopt;
  for (const DTypeInfo& row : kTypes)
    if (row.storage_class == name) return row.dtype;
  return std::nullopt;
}

}  // namespace ferry
