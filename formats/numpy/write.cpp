#include "formats/numpy/write.h"

#include "formats/numpy/header.h"
#include "src/core/error.h"

namespace ferry::numpy {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kGrowthDigits = 21;  // room for a longer first dimension (GROWTH_AXIS_MAX_DIGITS)

}  // namespace

std::string_view descr_of(DType dtype) {
  switch (dtype) {
    case DType::boolean:
      return "|b1";
    case DType::int8:
      return "|i1";
    case DType::uint8:
      return "|u1";
    case DType::int16:
      return "<i2";
    case DType::int32:
      return "<i4";
    case DType::int64:
      return "<i8";
    case DType::uint16:
      return "<u2";
    case DType::uint32:
      return "<u4";
    case DType::uint64:
      return "<u8";
    case DType::float16:
      return "<f2";
    case DType::float32:
      return "<f4";
    case DType::float64:
      return "<f8";
    case DType::complex64:
      return "<c8";
    case DType::complex128:
      return "<c16";
    case DType::bfloat16:
      return "<V2";  // as ml_dtypes has it; without ml_dtypes numpy reads two bytes an element
    default:
      return "";
  }
}

std::string array_header(DType dtype, std::span<const std::int64_t> shape) {
  const std::string_view descr = descr_of(dtype);
  if (descr.empty())
    throw Error(Code::target_lacks, "numpy has no element type for " + std::string(info(dtype).name));
  if (shape.size() > kRankMax)
    throw Error(Code::target_lacks,
                "numpy has arrays of at most " + std::to_string(kRankMax) + " dimensions");
  std::string sizes;
  for (const std::int64_t size : shape) sizes += (sizes.empty() ? "" : ", ") + std::to_string(size);
  if (shape.size() == 1) sizes += ',';
  std::string text =
      "{'descr': '" + std::string(descr) + "', 'fortran_order': False, 'shape': (" + sizes + "), }";
  if (!shape.empty()) {
    const std::string first = std::to_string(shape[0]);
    text.append(first.size() < kGrowthDigits ? kGrowthDigits - first.size() : 0, ' ');
  }
  constexpr std::size_t kBefore = kMagic.size() + 2 + 2;
  const std::size_t least = kBefore + text.size() + 1;
  text.append(kAlignment - least % kAlignment, ' ') += '\n';  // numpy too pads by 64 rather than by 0
  std::string out(kMagic);
  out += '\x01';
  out += '\0';
  out += static_cast<char>(text.size() & 0xff);
  out += static_cast<char>(text.size() >> 8);
  return out + text;
}

}  // namespace ferry::numpy
