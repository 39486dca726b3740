// What the numbers of a tensor look like: extremes, mean, spread, and how many are zero, NaN or infinite.
#pragma once

#include <cstdint>
#include <optional>

#include "src/core/bytes.h"
#include "src/core/dtype.h"

namespace ferry::structure {

// Of complex numbers, the magnitudes; of quantized ones, the stored integers; booleans count as 0 and 1.
// Everything is taken as float64: integers beyond 2^53 are rounded.  NaN and infinities are counted and left
// out of everything else.
struct Statistics {
  std::uint64_t count = 0, zeros = 0, nans = 0, infinities = 0;
  double min = 0, max = 0;   // of the finite values; 0 when there are none
  double mean = 0, std = 0;  // std over all finite values, without Bessel's correction
  std::uint64_t finite() const { return count - nans - infinities; }
};

// False for types whose elements are parts of bytes (quint4x2, bits2x4 …) and have no numbers of their own.
bool is_measurable(DType dtype);

// Takes elements in any order and in any pieces; keeps a few numbers.
class StatisticsMeter {
 public:
  explicit StatisticsMeter(DType dtype);
  // Whole elements, little-endian.
  void add(Bytes elements);
  // How often each element given so far appears: an expanded view shows its elements many times.
  Statistics result(std::uint64_t times = 1) const;

 private:
  template <typename Load>
  void add_numbers(Bytes elements, std::size_t size, Load load);
  void merge(std::uint64_t count, double mean, double squares);

  DType dtype_;
  Statistics totals_;
  std::uint64_t finite_ = 0;
  double squares_ = 0;  // sum of squared distances from the mean
};

}  // namespace ferry::structure
