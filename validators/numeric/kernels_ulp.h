// Passes over a block: ULP distances, their histogram, and bits.
#pragma once

#include <algorithm>
#include <bit>

#include "validators/numeric/kernels_vector.h"
#include "validators/numeric/kernels_widen.h"
#include "validators/numeric/numbers.h"
#include "validators/numeric/ulp.h"

namespace ferry::numeric {

// Bits of one type as unsigned integers that grow with the number, by ones from each value to the next.
enum class Order : std::uint8_t { natural, integer, sign_and_magnitude, boolean };

FERRY_INLINE Order order_of(const NumberFormat& format) {
  if (format.kind == Kind::boolean) return Order::boolean;
  if (format.kind == Kind::floating) return Order::sign_and_magnitude;
  return format.kind == Kind::integer ? Order::integer : Order::natural;
}

template <Order kOrder, typename Word>
FERRY_INLINE Word ordered(Word bits) {
  constexpr auto kSign = static_cast<Word>(Word{1} << (sizeof(Word) * 8 - 1));
  if constexpr (kOrder == Order::natural) return bits;
  if constexpr (kOrder == Order::boolean) return bits != 0;
  if constexpr (kOrder == Order::integer) return static_cast<Word>(bits ^ kSign);
  const auto magnitude = static_cast<Word>(bits & static_cast<Word>(~kSign));
  const auto negative = static_cast<Word>(Word{0} - static_cast<Word>(bits >> (sizeof(Word) * 8 - 1)));
  return static_cast<Word>(kSign + static_cast<Word>(magnitude ^ negative) - negative);
}

// Distances of one type; 32 bits hold those of all types up to that width.
template <Order kOrder, typename Word, typename Distance>
FERRY_INLINE void find_distances(const std::byte* before, const std::byte* after, std::size_t parts,
                                 Distance* out) {
  for (std::size_t i = 0; i < parts; ++i) {
    const Word b = ordered<kOrder>(load_number<Word>(before + i * sizeof(Word)));
    const Word a = ordered<kOrder>(load_number<Word>(after + i * sizeof(Word)));
    out[i] = static_cast<Word>((a > b ? a : b) - (a > b ? b : a));
  }
}

template <typename Word, typename Distance>
FERRY_INLINE void find_distances(Order order, const std::byte* before, const std::byte* after,
                                 std::size_t parts, Distance* out) {
  switch (order) {
    case Order::natural:
      return find_distances<Order::natural, Word>(before, after, parts, out);
    case Order::integer:
      return find_distances<Order::integer, Word>(before, after, parts, out);
    case Order::sign_and_magnitude:
      return find_distances<Order::sign_and_magnitude, Word>(before, after, parts, out);
    case Order::boolean:
      return find_distances<Order::boolean, Word>(before, after, parts, out);
  }
}

// Distances of two types on a floating scale, in units of 2^−(53 − significand_bits).  Seen as an integer, a
// double is its own position on the scale of doubles, and less finely on any other; below the scale's
// smallest normal number, adding that number puts the marks where they are wanted.  False where a number lies
// between two units: so near zero that it needs more digits.
FERRY_INLINE bool find_distances(const Scale& scale, const Block& block, std::size_t parts,
                                 std::uint64_t* out) {
  const double normal_min =
      std::bit_cast<double>(static_cast<std::uint64_t>(scale.exponent_min + 1023) << 52);
  const std::uint64_t origin = static_cast<std::uint64_t>(scale.exponent_min + 1022) << 52;
  const auto position = [&](double value, std::uint64_t& inexact) __attribute__((always_inline)) {
    const std::uint64_t bits = std::bit_cast<std::uint64_t>(value);
    const std::uint64_t magnitude = bits & 0x7fffffffffffffff;
    const double size = std::bit_cast<double>(magnitude);
    const double lifted = size + normal_min;
    const bool below = size < normal_min;
    inexact |= below && lifted - normal_min != size ? 1 : 0;
    const std::uint64_t at =
        below ? std::bit_cast<std::uint64_t>(lifted) - origin - (std::uint64_t{1} << 52) : magnitude - origin;
    return static_cast<std::int64_t>(bits) < 0 ? 0 - at : at;
  };
  std::uint64_t inexact = 0;
  for (std::size_t i = 0; i < parts; ++i) {
    const auto b = static_cast<std::int64_t>(position(block.before[i], inexact));
    const auto a = static_cast<std::int64_t>(position(block.after[i], inexact));
    const std::uint64_t distance = static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b);
    out[i] = a > b ? distance : 0 - distance;
  }
  return inexact == 0;
}

// Distances of two integer types.
FERRY_INLINE void find_distances(const Block& block, std::size_t parts, std::uint64_t* out) {
  for (std::size_t i = 0; i < parts; ++i)
    out[i] = static_cast<std::uint64_t>(__builtin_fabs(block.difference[i]));
}

struct BlockUlps {
  std::uint64_t largest = 0, zeros = 0;
  std::uint64_t widths[65] = {};  // by the number of bits of distance − 1, of distances above 0
};

template <typename Distance>
FERRY_INLINE BlockUlps count_distances(const Distance* distances, std::size_t count) {
  constexpr std::size_t kBits = sizeof(Distance) * 8, kTables = 8;
  BlockUlps ulps;
  Distance largest = 0, zeros = 0;
  for (std::size_t i = 0; i < count; ++i) {
    largest = distances[i] > largest ? distances[i] : largest;
    zeros += distances[i] == 0 ? 1 : 0;
  }
  // Neighbours mostly share a bin: several tables spare them waiting for each other.
  std::uint32_t tables[kTables][kBits + 1] = {};
  const auto slot = [&](std::size_t i) __attribute__((always_inline)) {
    return static_cast<std::size_t>(std::countl_zero(static_cast<Distance>(distances[i] - 1)));
  };
  std::size_t i = 0;
  for (; i + kTables <= count; i += kTables)
    for (std::size_t table = 0; table < kTables; ++table) ++tables[table][slot(i + table)];
  for (; i < count; ++i) ++tables[0][slot(i)];
  for (std::size_t leading = 0; leading <= kBits; ++leading)
    for (const auto& table : tables) ulps.widths[kBits - leading] += table[leading];
  ulps.widths[kBits] -= zeros;  // 0 − 1 has all bits
  ulps.largest = largest;
  ulps.zeros = zeros;
  return ulps;
}

template <typename Distance>
FERRY_INLINE void join_parts(Distance* distances, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) distances[i] = std::max(distances[2 * i], distances[2 * i + 1]);
}

FERRY_INLINE std::uint64_t count_flipped(const std::byte* before, const std::byte* after, std::size_t bytes) {
  std::uint64_t flipped = 0;
  std::size_t i = 0;
  for (; i + 8 <= bytes; i += 8)
    flipped += static_cast<std::uint64_t>(
        std::popcount(load_number<std::uint64_t>(before + i) ^ load_number<std::uint64_t>(after + i)));
  for (; i < bytes; ++i)
    flipped +=
        static_cast<std::uint64_t>(std::popcount(std::to_integer<unsigned char>(before[i] ^ after[i])));
  return flipped;
}

template <typename Word, std::size_t kWords = 1>
FERRY_INLINE std::uint64_t count_unequal(const std::byte* before, const std::byte* after, std::size_t count) {
  std::uint64_t unequal = 0;
  for (std::size_t i = 0; i < count; ++i) {
    Word bits = 0;
    for (std::size_t word = i * kWords; word < (i + 1) * kWords; ++word)
      bits = static_cast<Word>(bits | (load_number<Word>(before + word * sizeof(Word)) ^
                                       load_number<Word>(after + word * sizeof(Word))));
    unequal += bits != 0 ? 1 : 0;
  }
  return unequal;
}

FERRY_INLINE std::uint64_t count_unequal(std::size_t element_bytes, const std::byte* before,
                                         const std::byte* after, std::size_t count) {
  switch (element_bytes) {
    case 1:
      return count_unequal<std::uint8_t>(before, after, count);
    case 2:
      return count_unequal<std::uint16_t>(before, after, count);
    case 4:
      return count_unequal<std::uint32_t>(before, after, count);
    case 8:
      return count_unequal<std::uint64_t>(before, after, count);
    default:
      return count_unequal<std::uint64_t, 2>(before, after, count);
  }
}

}  // namespace ferry::numeric
