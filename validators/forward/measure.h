// Distances between two rows of numbers: measured, not judged.
//
// Sums run in long double, so that squares of finite doubles neither overflow nor vanish.  Pairs in which a
// number is not finite are left out of norms and counted apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "src/core/forward_verdict.h"

namespace ferry::forward {

using Numbers = std::span<const double>;

struct Size {
  double l2 = 0, inf = 0;  // 2-norm, and the largest element
};

Size size_of(Numbers numbers);                    // of the finite ones
Size distance_of(Numbers before, Numbers after);  // of two rows of one length

// A NaN and a NaN, and two equal infinities, are the same; everything else with a non-finite number in it is
// not.
std::uint64_t nonfinite_mismatches(Numbers before, Numbers after);

Closeness closeness_of(Numbers before, Numbers after);

// Pairs whose values are not equal; two NaNs are equal.
std::uint64_t differing(Numbers before, Numbers after);

// How many elements are farther from `reference` than `factor` times the larger of the median distance and
// `floor`: elements that hang on a decision, not on rounding.
std::uint64_t outliers(Numbers run, Numbers reference, double factor, double floor);

// Decisions along the class axis: axis 1 of images and volumes (four and five dimensions), else the last one.
// Nothing for rows that are no choice: fewer than two dimensions or classes.  A row that decides differently
// counts as a tie when the two leading elements of `before` or `after` are no farther apart than twice
// `error`.
std::optional<Decisions> decisions_of(Numbers before, Numbers after, std::span<const std::int64_t> shape,
                                      std::size_t top_k, double error);

}  // namespace ferry::forward
