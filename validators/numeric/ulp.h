// Distances in units in the last place, one pair at a time.
#pragma once

#include <cstdint>

#include "src/core/drift.h"
#include "validators/numeric/numbers.h"

namespace ferry::numeric {

// What distances are measured on.  Marks of a floating scale are the numbers m × 2^(max(e, exponent_min) −
// significand_bits + 1) with integers m < 2^significand_bits and e without an upper end; those of an integer
// scale the integers.
struct Scale {
  bool is_integer = false;
  int significand_bits = 0;
  int exponent_min = 0;
};

// The scale of the coarser of two formats, neither of which is `bits`.
Scale coarser_scale(const NumberFormat& before, const NumberFormat& after);

// The distance of two finite numbers.  Whole parts that do not fit are 2^64 − 1.
Ulps ulp_distance(const Scale& scale, long double before, long double after);

}  // namespace ferry::numeric
