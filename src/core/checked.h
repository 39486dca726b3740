// All arithmetic on sizes, offsets and strides that a file controls goes through these functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>

namespace ferry {

template <typename T>
std::optional<T> checked_add(T a, std::type_identity_t<T> b) {
  T sum;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

template <typename T>
std::optional<T> checked_mul(T a, std::type_identity_t<T> b) {
  T product;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

// True when [offset, offset + size) lies inside [0, limit).
inline bool fits(std::uint64_t offset, std::uint64_t size, std::uint64_t limit) {
  return offset <= limit && size <= limit - offset;
}

// The number of elements of a shape; nullopt for a negative size or a product that does not fit in 63 bits.
std::optional<std::int64_t> checked_numel(std::span<const std::int64_t> shape);

// One past the last element that a strided view reaches, counted from the start of its storage; `offset` for
// a view with no elements.  nullopt when anything is negative or wraps.  Shape and strides must have the same
// rank.
std::optional<std::int64_t> checked_extent(std::span<const std::int64_t> shape,
                                           std::span<const std::int64_t> strides, std::int64_t offset);

}  // namespace ferry
