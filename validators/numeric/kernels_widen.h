// Elements of any type as doubles.
#pragma once

#include "validators/numeric/kernels_vector.h"
#include "validators/numeric/numbers.h"

namespace ferry::numeric {

template <typename T>
FERRY_INLINE T load_number(const std::byte* at) {
  T number;
  std::memcpy(&number, at, sizeof number);
  if constexpr (std::endian::native == std::endian::big && sizeof(T) > 1) {
    std::byte bytes[sizeof(T)];
    for (std::size_t i = 0; i < sizeof(T); ++i) bytes[i] = at[sizeof(T) - 1 - i];
    std::memcpy(&number, bytes, sizeof number);
  }
  return number;
}

template <typename T>
FERRY_INLINE void widen_each(const std::byte* at, std::size_t parts, double* out) {
  for (std::size_t i = 0; i < parts; ++i) out[i] = static_cast<double>(load_number<T>(at + i * sizeof(T)));
}

// The exponent moves by shifting; a subnormal number becomes a normal one by a subtraction that is exact.
FERRY_INLINE void widen_halves(const std::byte* at, std::size_t parts, double* out) {
  for (std::size_t i = 0; i < parts; ++i) {
    const std::uint32_t half = load_number<std::uint16_t>(at + i * 2);
    const std::uint32_t shifted = (half & 0x7fffu) << 13, exponent = half & 0x7c00u;
    const std::uint32_t rebias = exponent == 0x7c00u ? 224u << 23 : exponent == 0 ? 113u << 23 : 112u << 23;
    const float borrowed = exponent == 0 ? 0x1p-14f : 0.0f;
    const float magnitude = std::bit_cast<float>(shifted + rebias) - borrowed;
    out[i] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | (half & 0x8000u) << 16);
  }
}

FERRY_INLINE void widen_brains(const std::byte* at, std::size_t parts, double* out) {
  for (std::size_t i = 0; i < parts; ++i)
    out[i] = std::bit_cast<float>(std::uint32_t{load_number<std::uint16_t>(at + i * 2)} << 16);
}

FERRY_INLINE void widen_booleans(const std::byte* at, std::size_t parts, double* out) {
  for (std::size_t i = 0; i < parts; ++i) out[i] = at[i] != std::byte{0} ? 1 : 0;
}

FERRY_INLINE void widen_bytes(const ByteNumbers& numbers, const std::byte* at, std::size_t parts,
                              double* out) {
  for (std::size_t i = 0; i < parts; ++i) out[i] = numbers[std::to_integer<std::size_t>(at[i])];
}

FERRY_INLINE void widen(const NumberFormat& format, const std::byte* at, std::size_t parts, double* out) {
  const bool is_signed = format.kind == Kind::integer;
  switch (format.component_bytes) {
    case 1:
      if (format.kind == Kind::boolean) return widen_booleans(at, parts, out);
      if (format.kind == Kind::natural) return widen_each<std::uint8_t>(at, parts, out);
      return is_signed ? widen_each<std::int8_t>(at, parts, out)
                       : widen_bytes(*format.byte_numbers, at, parts, out);
    case 2:
      if (format.is_floating())
        return format.significand_bits == 11 ? widen_halves(at, parts, out) : widen_brains(at, parts, out);
      return is_signed ? widen_each<std::int16_t>(at, parts, out) : widen_each<std::uint16_t>(at, parts, out);
    case 4:
      if (format.is_floating()) return widen_each<float>(at, parts, out);
      return is_signed ? widen_each<std::int32_t>(at, parts, out) : widen_each<std::uint32_t>(at, parts, out);
    default:
      if (format.is_floating()) return widen_each<double>(at, parts, out);
      return is_signed ? widen_each<std::int64_t>(at, parts, out) : widen_each<std::uint64_t>(at, parts, out);
  }
}

// Real numbers beside complex ones get imaginary parts.
FERRY_INLINE void spread(double* parts, std::size_t count) {
  for (std::size_t i = count; i-- > 0;) {
    parts[2 * i] = parts[i];
    parts[2 * i + 1] = 0;
  }
}

}  // namespace ferry::numeric
