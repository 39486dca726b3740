// Components of tensors as doubles, rounded as a cast to a narrower type rounds them.
#pragma once

#include <string>
#include <vector>

#include "src/core/bytes.h"
#include "validators/numeric/numbers.h"

namespace ferry::numeric {

// A floating grid and its end.
struct Rounding {
  int significand_bits = 0;
  int exponent_min = 0;  // of the smallest normal number
  double largest = 0;    // finite
  Specials specials = Specials::ieee;
  bool truncates = false;  // towards zero; otherwise to nearest, ties to even
  bool saturates = false;  // what is beyond the largest becomes the largest
};

// To a floating type narrower than float64.  Numbers that round to more than the largest become infinite, or
// NaN in types without infinities, as in torch's own casts (those of 2.13 to float8_e4m3fn saturate instead).
Rounding rounding_to(DType dtype);
Rounding tf32_rounding(bool truncates);  // 10 bits of fraction, the exponents of float32

double round_to(const Rounding& rounding, double value);

// 2^(exponent − significand_bits + 1): the distance of two neighbours where `value` lies.
double ulp_at(const NumberFormat& format, double value);

// All components of whole elements; exact but for integers beyond 2^53.
void decode_components(DType dtype, Bytes bytes, std::vector<double>& out);

// The shortest decimal that reads back as this number of this type: "0.1", "1.0", "7", "True", "(1.0+2.0j)".
std::string element_text(DType dtype, Bytes element);

// The decimal with the fewest digits in [low, high], of these the one nearest to `near`.  With a type also
// those whose rounding lies there: float32's 0.1 is 0.1.
struct Decimal {
  double value = 0;
  int digits = 0;
  std::string text;  // as "%.6g" writes numbers
};
Decimal shortest_between(double low, double high, double near, const Rounding* type = nullptr);

}  // namespace ferry::numeric
