// Four doubles at a time, and the block that all passes over ordinary pairs share.
//
// Everything here is inlined into functions for one kind of processor each.  The arithmetic is written out
// lane by lane, so its results are the same on all of them: none may contract, reassociate or assume.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#define FERRY_INLINE __attribute__((always_inline)) inline

namespace ferry::numeric {

inline constexpr std::size_t kLanes = 4;
using Doubles = double __attribute__((vector_size(kLanes * sizeof(double))));
using Masks = std::int64_t __attribute__((vector_size(kLanes * sizeof(double))));

FERRY_INLINE Doubles load_lanes(const double* at) {
  Doubles lanes;
  std::memcpy(&lanes, at, sizeof lanes);
  return lanes;
}
FERRY_INLINE void store_lanes(double* at, const Doubles& lanes) { std::memcpy(at, &lanes, sizeof lanes); }
FERRY_INLINE Doubles all_lanes(double value) { return Doubles{value, value, value, value}; }
FERRY_INLINE Doubles magnitudes(Doubles lanes) {
  constexpr std::int64_t kMagnitude = 0x7fffffffffffffff;
  return std::bit_cast<Doubles>(std::bit_cast<Masks>(lanes) &
                                Masks{kMagnitude, kMagnitude, kMagnitude, kMagnitude});
}
FERRY_INLINE Doubles larger(Doubles a, Doubles b) { return a > b ? a : b; }
FERRY_INLINE Doubles smaller(Doubles a, Doubles b) { return a < b ? a : b; }
FERRY_INLINE bool any(Masks lanes) { return (lanes[0] | lanes[1] | lanes[2] | lanes[3]) != 0; }

// Parts of numbers (a complex one has two) that are worked on while they lie in the first-level cache. Passes
// go by steps; parts behind the last one are zeros on both sides, which changes no result.
inline constexpr std::size_t kBlockParts = 512, kStep = 32;

struct alignas(64) Block {
  double before[kBlockParts], after[kBlockParts], difference[kBlockParts];
  double before_modulus[kBlockParts / 2], difference_modulus[kBlockParts / 2];  // of complex numbers
  Masks suspects[kBlockParts / (4 * kLanes)];                                   // see find_extremes
};

}  // namespace ferry::numeric
