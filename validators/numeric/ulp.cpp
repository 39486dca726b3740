#include "validators/numeric/ulp.h"

#include <cmath>
#include <limits>
#include <utility>

namespace ferry::numeric {
namespace {

constexpr auto kFar = std::numeric_limits<std::uint64_t>::max();

// How many marks lie between zero and |value|, and the part of a step that is left.
Ulps position(const Scale& scale, long double value) {
  if (value == 0) return {};  // which has no exponent
  int exponent = 0;
  long double steps =
      std::frexp(std::abs(value), &exponent);  // in [½, 1): the exponent is one more than IEEE's
  --exponent;
  const int fraction_bits = scale.significand_bits - 1;
  std::uint64_t marks = 0;
  if (exponent >= scale.exponent_min) {
    marks = static_cast<std::uint64_t>(exponent - scale.exponent_min) << fraction_bits;
    steps = std::ldexp(steps, fraction_bits + 1);
  } else {
    steps = std::ldexp(steps, exponent + 1 - scale.exponent_min + fraction_bits);
  }
  const long double whole = std::floor(steps);
  const auto fraction = static_cast<double>(steps - whole);
  marks += static_cast<std::uint64_t>(whole);
  // What is left of a long double may round to a whole step.
  return fraction == 1 ? Ulps{marks + 1, 0} : Ulps{marks, fraction};
}

Ulps sum(const Ulps& a, const Ulps& b) {
  const double fraction = a.fraction + b.fraction;
  const std::uint64_t carry = fraction >= 1 ? 1 : 0;
  return {a.whole + b.whole + carry, fraction - static_cast<double>(carry)};
}

Ulps distance_along(Ulps a, Ulps b) {
  if (a < b) std::swap(a, b);
  if (a.fraction >= b.fraction) return {a.whole - b.whole, a.fraction - b.fraction};
  const double fraction = 1 - (b.fraction - a.fraction);
  return fraction == 1 ? Ulps{a.whole - b.whole, 0} : Ulps{a.whole - b.whole - 1, fraction};
}

}  // namespace

Scale coarser_scale(const NumberFormat& before, const NumberFormat& after) {
  const auto scale_of = [](const NumberFormat& format) {
    return Scale{!format.is_floating(), format.significand_bits, format.exponent_min};
  };
  if (!before.is_floating()) return scale_of(after);
  if (!after.is_floating()) return scale_of(before);
  if (before.significand_bits != after.significand_bits)
    return scale_of(before.significand_bits < after.significand_bits ? before : after);
  return scale_of(before.exponent_min > after.exponent_min ? before : after);
}

Ulps ulp_distance(const Scale& scale, long double before, long double after) {
  if (before == after) return {};
  if (scale.is_integer) {
    const long double distance = std::abs(after - before);
    return {distance >= 0x1p64L ? kFar : static_cast<std::uint64_t>(distance), 0};
  }
  const Ulps from = position(scale, before), to = position(scale, after);
  const bool across_zero = std::signbit(before) != std::signbit(after);
  return across_zero ? sum(from, to) : distance_along(from, to);
}

}  // namespace ferry::numeric
