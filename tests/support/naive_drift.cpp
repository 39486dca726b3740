#include "tests/support/naive_drift.h"

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <utility>

namespace ferry::test {

const std::map<DType, NumberLayout>& number_layouts() {
  static const std::map<DType, NumberLayout> rows = {
      {DType::boolean, {'b', 0, 0, 0, NumberLayout::ieee}},
      {DType::uint8, {'u', 0, 0, 0, NumberLayout::ieee}},
      {DType::quint8, {'u', 0, 0, 0, NumberLayout::ieee}},
      {DType::uint16, {'u', 0, 0, 0, NumberLayout::ieee}},
      {DType::uint32, {'u', 0, 0, 0, NumberLayout::ieee}},
      {DType::uint64, {'u', 0, 0, 0, NumberLayout::ieee}},
      {DType::int8, {'i', 0, 0, 0, NumberLayout::ieee}},
      {DType::qint8, {'i', 0, 0, 0, NumberLayout::ieee}},
      {DType::int16, {'i', 0, 0, 0, NumberLayout::ieee}},
      {DType::int32, {'i', 0, 0, 0, NumberLayout::ieee}},
      {DType::qint32, {'i', 0, 0, 0, NumberLayout::ieee}},
      {DType::int64, {'i', 0, 0, 0, NumberLayout::ieee}},
      {DType::float16, {'f', 5, 10, 15, NumberLayout::ieee}},
      {DType::bfloat16, {'f', 8, 7, 127, NumberLayout::ieee}},
      {DType::float32, {'f', 8, 23, 127, NumberLayout::ieee}},
      {DType::float64, {'f', 11, 52, 1023, NumberLayout::ieee}},
      {DType::complex32, {'f', 5, 10, 15, NumberLayout::ieee, 2}},
      {DType::complex64, {'f', 8, 23, 127, NumberLayout::ieee, 2}},
      {DType::complex128, {'f', 11, 52, 1023, NumberLayout::ieee, 2}},
      {DType::float8_e5m2, {'f', 5, 2, 15, NumberLayout::ieee}},
      {DType::float8_e4m3fn, {'f', 4, 3, 7, NumberLayout::last}},
      {DType::float8_e5m2fnuz, {'f', 5, 2, 16, NumberLayout::minus_zero}},
      {DType::float8_e4m3fnuz, {'f', 4, 3, 8, NumberLayout::minus_zero}},
      {DType::float8_e8m0fnu, {'p', 8, 0, 127, NumberLayout::last}},
  };
  return rows;
}

namespace {

std::uint64_t bits_at(const std::byte* at, std::size_t size) {
  std::uint64_t bits = 0;
  for (std::size_t i = size; i-- > 0;) bits = bits << 8 | std::to_integer<std::uint64_t>(at[i]);
  return bits;
}

}  // namespace

long double naive_value(const NumberLayout& layout, std::uint64_t bits, int width) {
  if (layout.kind == 'b') return bits != 0;
  if (layout.kind == 'u') return static_cast<long double>(bits);
  if (layout.kind == 'i')
    return static_cast<long double>(bits) - ((bits >> (width - 1)) != 0 ? std::ldexp(1.0L, width) : 0);
  if (layout.kind == 'p') return bits == 255 ? NAN : std::ldexp(1.0L, static_cast<int>(bits) - 127);
  const std::uint64_t rest = bits & ((std::uint64_t{1} << (width - 1)) - 1);
  const long double sign = bits == rest ? 1 : -1;
  const auto exponent = static_cast<int>(rest >> layout.fraction_bits);
  const std::uint64_t fraction = rest & ((std::uint64_t{1} << layout.fraction_bits) - 1);
  if (layout.nan == NumberLayout::minus_zero && rest == 0 && sign < 0) return NAN;
  if (layout.nan == NumberLayout::last && rest == 0x7f) return NAN;
  if (layout.nan == NumberLayout::ieee && exponent == (1 << layout.exponent_bits) - 1)
    return fraction != 0 ? NAN : sign * INFINITY;
  const long double leading = exponent == 0 ? 0 : 1;
  const long double part = static_cast<long double>(fraction) / std::ldexp(1.0L, layout.fraction_bits);
  return sign * (leading + part) * std::ldexp(1.0L, std::max(exponent, 1) - layout.bias);
}

namespace {

struct Value {
  long double part[2] = {0, 0};
  std::uint64_t bits[2] = {0, 0};
  bool nan() const { return std::isnan(part[0]) || std::isnan(part[1]); }
  bool infinite() const { return !nan() && (std::isinf(part[0]) || std::isinf(part[1])); }
};

Value value_at(DType dtype, const Data& data, std::size_t i) {
  const NumberLayout& layout = number_layouts().at(dtype);
  const std::size_t size = info(dtype).itemsize / static_cast<std::size_t>(layout.components);
  Value value;
  for (int c = 0; c < layout.components; ++c) {
    const std::size_t at = i * info(dtype).itemsize + static_cast<std::size_t>(c) * size;
    value.bits[c] = bits_at(data.data() + at, size);
    value.part[c] = naive_value(layout, value.bits[c], static_cast<int>(size) * 8);
  }
  return value;
}

}  // namespace

long double naive_mark(const NumberLayout& type, std::uint64_t k) {
  const std::uint64_t per_binade = std::uint64_t{1} << type.fraction_bits;
  const int exponent_min = type.kind == 'p' ? -127 : 1 - type.bias;
  if (k < per_binade) return std::ldexp(static_cast<long double>(k), exponent_min - type.fraction_bits);
  const auto binade = static_cast<int>(k / per_binade) - 1;
  return std::ldexp(static_cast<long double>(per_binade + k % per_binade),
                    exponent_min + binade - type.fraction_bits);
}

namespace {

Ulps place(const NumberLayout& type, long double value) {
  std::uint64_t low = 0, high = std::uint64_t{2047} << type.fraction_bits;  // binades that doubles have
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    (naive_mark(type, middle) <= value ? low : high) = middle;
  }
  const long double left = naive_mark(type, low), right = naive_mark(type, low + 1);
  const auto part = static_cast<double>((value - left) / (right - left));
  return part == 1 ? Ulps{low + 1, 0} : Ulps{low, part};
}

}  // namespace

Ulps naive_ulps(const NumberLayout& b, const NumberLayout& a, long double before, long double after) {
  const bool b_real = b.kind == 'f' || b.kind == 'p', a_real = a.kind == 'f' || a.kind == 'p';
  if (!b_real && !a_real)
    return {static_cast<std::uint64_t>(std::min(std::abs(after - before), 0x1p64L - 1)), 0};
  const auto rank = [](const NumberLayout& type) { return std::pair(type.fraction_bits, type.bias); };
  const NumberLayout& scale = !b_real ? a : !a_real ? b : rank(b) < rank(a) ? b : a;
  const Ulps from = place(scale, std::abs(before)), to = place(scale, std::abs(after));
  const bool same_side = (before < 0) == (after < 0);
  const long double sign = same_side ? -1 : 1;
  const long double fraction = std::abs(to.fraction + sign * from.fraction);
  if (!same_side) {
    const std::uint64_t carry = fraction >= 1;
    return {from.whole + to.whole + carry, static_cast<double>(fraction - carry)};
  }
  const Ulps far = std::max(from, to), near = std::min(from, to);
  if (far.fraction >= near.fraction) return {far.whole - near.whole, far.fraction - near.fraction};
  const double rest = 1 - (near.fraction - far.fraction);
  return rest == 1 ? Ulps{far.whole - near.whole, 0} : Ulps{far.whole - near.whole - 1, rest};
}

std::size_t naive_ulp_bin(const Ulps& ulps) {
  const long double distance = static_cast<long double>(ulps.whole) + ulps.fraction;
  if (ulps.whole == 0 && ulps.fraction == 0) return 0;
  if (ulps.whole == 0 && ulps.fraction <= 0.5) return 1;
  for (std::size_t bin = 2;; ++bin) {
    const long double end = std::ldexp(1.0L, static_cast<int>(bin) - 2);
    if (distance < end || (distance == end && (ulps.fraction == 0 || ulps.whole < distance))) return bin;
  }
}

namespace {

#if LDBL_MANT_DIG == 113
using Quad = long double;
#else
__extension__ using Quad = __float128;
#endif
__extension__ using QuadBits = unsigned __int128;

// Rounded once: 113 bits rounded to odd have what decides the rounding to 53 (Boldo and Melquiond, 2008).
double naive_difference(long double before, long double after) {
  const Quad b = before, a = after, difference = a - b, part = difference - a;
  const Quad lost = (a - (difference - part)) - (b + part);
  auto bits = std::bit_cast<QuadBits>(difference);
  if (lost != 0 && bits % 2 == 0) (lost > 0) == (difference > 0) ? ++bits : --bits;
  return static_cast<double>(std::bit_cast<Quad>(bits));
}

}  // namespace

NaiveDrift naive_drift(DType b, DType a, const Data& before, const Data& after) {
  NaiveDrift naive;
  Drift& drift = naive.drift;
  const NumberLayout &bl = number_layouts().at(b), &al = number_layouts().at(a);
  drift.before = b, drift.after = a;
  drift.elements = before.size() / info(b).itemsize;
  bool mismatched = false;
  for (std::size_t i = 0; i < drift.elements; ++i) {
    const Value x = value_at(b, before, i), y = value_at(a, after, i);
    std::uint64_t flipped = 0;
    if (b == a)
      for (int c = 0; c < 2; ++c) flipped += static_cast<std::uint64_t>(std::popcount(x.bits[c] ^ y.bits[c]));
    const bool equal = x.part[0] == y.part[0] && x.part[1] == y.part[1], nans = x.nan() && y.nan();
    const bool differs = !equal && !nans;
    drift.bits_flipped += flipped;
    drift.bits_differing += b == a ? flipped != 0 : differs;
    drift.differing += differs;
    for (int c = 0, signs = 0; equal && c < 2; ++c)
      if (std::signbit(x.part[c]) != std::signbit(y.part[c]) && signs++ == 0) ++drift.zero_signs;
    drift.nans_before += x.nan(), drift.nans_after += y.nan();
    drift.nans_both += nans, drift.nan_payloads += nans && flipped != 0;
    drift.infinities_before += x.infinite(), drift.infinities_after += y.infinite();
    if (x.nan() || y.nan() || x.infinite() || y.infinite()) {
      drift.nonfinite_mismatches += differs;
      if (differs && !mismatched) drift.worst = Worst{i, {}, {}};
      mismatched |= differs;
      continue;
    }
    ++drift.finite;
    Ulps ulps;
    long double d[2];
    for (int c = 0; c < 2; ++c) {
      const double difference = naive_difference(x.part[c], y.part[c]);
      d[c] = std::isinf(difference) ? y.part[c] - x.part[c] : difference;
      drift.difference_squares += d[c] * d[c];
      drift.before_squares += x.part[c] * x.part[c];
      drift.after_squares += y.part[c] * y.part[c];
      drift.products += x.part[c] * y.part[c];
      naive.product_sizes += std::abs(x.part[c] * y.part[c]);
      ulps = std::max(ulps, naive_ulps(bl, al, x.part[c], y.part[c]));
    }
    drift.difference_sum += d[0];
    naive.sizes += std::abs(d[0]);
    const auto modulus = static_cast<double>(std::hypot(d[0], d[1]));
    const auto size = static_cast<double>(std::min<long double>(std::hypot(x.part[0], x.part[1]), DBL_MAX));
    if (differs && !mismatched && (!drift.worst || modulus > drift.max_abs)) drift.worst = Worst{i, {}, {}};
    drift.max_abs = std::max(drift.max_abs, modulus);
    if (size > 0) drift.max_rel = std::max(drift.max_rel, modulus / size);
    drift.max_ulp = std::max(drift.max_ulp, ulps);
    drift.ulps.add(naive_ulp_bin(ulps), 1);
    naive.points.push_back({size, modulus});
  }
  return naive;
}

}  // namespace ferry::test
