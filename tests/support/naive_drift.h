// Drift measured a second time, slowly and on other ways: the types from their standards, everything in long
// double, one number at a time.  Nothing here is shared with validators/numeric.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "src/core/drift.h"

namespace ferry::test {

using Data = std::vector<std::byte>;

struct NumberLayout {
  char kind;  // u, i: integers; b: bool; f: floating; p: a power of two
  int exponent_bits, fraction_bits, bias;
  enum { ieee, last, minus_zero } nan;  // NaNs: all exponent bits set; all bits set; the pattern of −0
  int components = 1;
};

// Of all types that have numbers.
const std::map<DType, NumberLayout>& number_layouts();

// What the bits of one component of `width` bits mean.
long double naive_value(const NumberLayout& layout, std::uint64_t bits, int width);

// The k-th number from zero of a floating type whose exponents have no upper end.
long double naive_mark(const NumberLayout& layout, std::uint64_t k);

Ulps naive_ulps(const NumberLayout& b, const NumberLayout& a, long double before, long double after);
std::size_t naive_ulp_bin(const Ulps& ulps);

struct NaiveDrift {
  Drift drift;                               // all but the hull; of `worst` the element only
  std::vector<HullPoint> points;             // all of them
  long double sizes = 0, product_sizes = 0;  // Σ|d|, Σ|a·b|: what rounding of the sums is measured against
};
NaiveDrift naive_drift(DType before, DType after, const Data& before_bytes, const Data& after_bytes);

}  // namespace ferry::test
