// Passes over a block of doubles: differences, sums and extremes.
#pragma once

#include <algorithm>

#include "validators/numeric/hull.h"
#include "validators/numeric/kernels_vector.h"

namespace ferry::numeric {

struct BlockSums {
  long double difference_squares = 0, before_squares = 0, after_squares = 0, products = 0, difference = 0;
};

// A sum of four lanes that keeps what its additions round off.
struct CompensatedLanes {
  Doubles sum = {}, lost = {};

  FERRY_INLINE void add(Doubles more) {
    const Doubles total = sum + more;
    const Doubles part = total - sum;
    lost += (sum - (total - part)) + (more - part);
    sum = total;
  }
  FERRY_INLINE long double total(std::size_t every) const {
    long double total = 0;
    for (std::size_t lane = 0; lane < kLanes; lane += every)
      total += static_cast<long double>(sum[lane]) + static_cast<long double>(lost[lane]);
    return total;
  }
};

// Fills in the differences.  Two numbers are added plainly, what they make is added with compensation: a sum
// is off by the rounding of its products and of one addition each, at most 2^−52 of the sum of their sizes.
// `components`: 2 for complex numbers.
FERRY_INLINE BlockSums sum_block(Block& block, std::size_t padded, std::size_t components) {
  CompensatedLanes difference, difference_squares, before_squares, after_squares, products;
  for (std::size_t i = 0; i < padded; i += 2 * kLanes) {
    const Doubles b = load_lanes(block.before + i), c = load_lanes(block.before + i + kLanes);
    const Doubles a = load_lanes(block.after + i), f = load_lanes(block.after + i + kLanes);
    const Doubles d = a - b, e = f - c;
    store_lanes(block.difference + i, d);
    store_lanes(block.difference + i + kLanes, e);
    difference.add(d + e);
    difference_squares.add(d * d + e * e);
    before_squares.add(b * b + c * c);
    after_squares.add(a * a + f * f);
    products.add(a * b + f * c);
  }
  return {difference_squares.total(1), before_squares.total(1), after_squares.total(1), products.total(1),
          difference.total(components)};  // real parts lie in the even lanes
}

struct BlockExtremes {
  double max_abs = 0, max_rel = 0;
  bool suspects = false;  // some point may be above the hull
};

// Of |before| and |difference|; marks in `suspects`, one lane for four points, those that are above the
// floor.
FERRY_INLINE BlockExtremes find_extremes(const double* before, const double* difference, std::size_t padded,
                                         const HullFloor& floor, Masks* suspects) {
  constexpr std::size_t kChords = HullFloor::kChords;
  Doubles rise[kChords], start[kChords], top = all_lanes(floor.top);
  for (std::size_t chord = 0; chord < kChords; ++chord) {
    rise[chord] = all_lanes(floor.rise[chord]);
    start[chord] = all_lanes(floor.start[chord]);
  }
  Doubles max_abs = {}, max_rel = {};
  Masks found = {};
  for (std::size_t i = 0; i < padded; i += 4 * kLanes) {
    Masks above = {};
    for (std::size_t j = i; j < i + 4 * kLanes; j += kLanes) {
      const Doubles x = magnitudes(load_lanes(before + j)), y = magnitudes(load_lanes(difference + j));
      max_abs = larger(y, max_abs);
      max_rel = larger(x > 0 ? y / x : Doubles{}, max_rel);
      Doubles height = top;
      for (std::size_t chord = 0; chord < kChords; ++chord)
        height = smaller(start[chord] + rise[chord] * x, height);
      above |= y > height;
    }
    suspects[i / (4 * kLanes)] = above;
    found |= above;
  }
  BlockExtremes extremes{0, 0, any(found)};
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    extremes.max_abs = std::max(extremes.max_abs, max_abs[lane]);
    extremes.max_rel = std::max(extremes.max_rel, max_rel[lane]);
  }
  return extremes;
}

FERRY_INLINE void find_moduli(const double* parts, std::size_t padded, double* moduli) {
  for (std::size_t i = 0; i < padded / 2; ++i)
    moduli[i] = __builtin_sqrt(parts[2 * i] * parts[2 * i] + parts[2 * i + 1] * parts[2 * i + 1]);
}

}  // namespace ferry::numeric
