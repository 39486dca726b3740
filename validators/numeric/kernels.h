// Measuring runs of pairs: quickly where all of them are ordinary, and one by one where they are not.
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/core/drift.h"
#include "validators/numeric/hull.h"
#include "validators/numeric/numbers.h"
#include "validators/numeric/ulp.h"

namespace ferry::numeric {

inline constexpr std::size_t kRunMax = 512;  // pairs of real numbers; half as many complex ones

// What is known of all pairs of two tensors.
struct Pairing {
  NumberFormat before, after;
  bool one_type = true;
  Scale scale;

  std::size_t run_max() const { return is_complex() ? kRunMax / 2 : kRunMax; }
  bool is_complex() const { return before.components > 1 || after.components > 1; }
};

// `count` pairs, the first of which has the row-major index `first`.
struct Run {
  const std::byte* before = nullptr;
  const std::byte* after = nullptr;
  std::size_t count = 0;
  std::uint64_t first = 0;

  Run part(std::size_t begin, std::size_t size, const Pairing& pairing) const {
    return {before + begin * pairing.before.element_bytes(), after + begin * pairing.after.element_bytes(),
            size, first + begin};
  }
};

// Adds a run of at most run_max() pairs, or returns false and has done nothing: where a number is not finite,
// so large or small that squares of doubles leave their range, or not exact as a double.
bool measure_plainly(const Pairing& pairing, const Run& run, Drift& drift, HullCollector& hull);

// Adds any run to the drift, in long double: correct for all numbers, at some 10 million pairs a second.
void measure_exactly(const Pairing& pairing, const Run& run, Drift& drift, HullCollector& hull);

// Pairs with the index `i` of a run become the drift's worst.
void set_worst(const Pairing& pairing, const Run& run, std::size_t i, Drift& drift);

}  // namespace ferry::numeric
