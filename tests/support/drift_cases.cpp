#include "tests/support/drift_cases.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <limits>

#include "src/core/bytes.h"
#include "validators/numeric/measure_block.h"

namespace ferry::test {

std::vector<DType> numeric_types() {
  std::vector<DType> types;
  for (const DTypeInfo& row : all_dtypes())
    if (numeric::is_numeric(row.dtype)) types.push_back(row.dtype);
  return types;
}

Data some_numbers(DType dtype, std::size_t count, Random& random) {
  const NumberLayout& layout = number_layouts().at(dtype);
  const std::size_t size = info(dtype).itemsize / static_cast<std::size_t>(layout.components);
  const int width = static_cast<int>(size) * 8;
  const std::uint64_t all = width == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << width) - 1;
  const std::uint64_t top = std::uint64_t{1} << (width - 1),
                      least_normal = std::uint64_t{1} << layout.fraction_bits;
  const std::uint64_t infinity = layout.kind == 'f' ? (top - 1) / least_normal * least_normal : top - 1;
  const std::uint64_t edges[] = {0,
                                 1,
                                 2,
                                 top,
                                 top + 1,
                                 all,
                                 all - 1,
                                 infinity,
                                 top - 1,
                                 top | infinity,
                                 infinity - 1,
                                 infinity + 1,
                                 least_normal,
                                 least_normal - 1,
                                 top | least_normal};
  const auto near_one = [&] {
    if (layout.kind == 'b') return random() & 1;
    if (layout.kind == 'u') return random() & 0x3f;
    if (layout.kind == 'i') return (random() & 0x3f) - 32;
    const std::uint64_t exponent = static_cast<std::uint64_t>(layout.bias) - 3 + random() % 6;
    const std::uint64_t sign = layout.kind == 'f' && random() % 2 == 0 ? top : 0;
    return sign | exponent << layout.fraction_bits | (random() & (least_normal - 1));
  };
  const auto kind = random() % 4;
  Data data(count * info(dtype).itemsize);
  for (std::size_t at = 0; at < data.size(); at += size) {
    const bool edge = kind == 1 || (kind == 3 && random() % 64 == 0);
    const std::uint64_t bits = kind == 0 ? random() : edge ? edges[random() % std::size(edges)] : near_one();
    for (std::size_t i = 0; i < size; ++i) data[at + i] = static_cast<std::byte>(bits >> (8 * i));
  }
  return data;
}

namespace {

// The same numbers with some low bits changed.
Data nudged(DType dtype, Data data, Random& random) {
  const std::size_t size = info(dtype).itemsize;
  const auto every = 1 + random() % 5;
  for (std::size_t at = 0; at < data.size(); at += size)
    if (random() % every == 0) data[at] ^= static_cast<std::byte>(random() % 4);
  return data;
}

}  // namespace

DriftCase some_case(Random& random) {
  static const std::vector<DType> types = numeric_types();
  DriftCase c;
  c.b = types[random() % types.size()];
  c.a = random() % 3 == 0 ? c.b : types[random() % types.size()];
  const std::size_t count = random() % 16 == 0 ? 200 + random() % 900 : random() % 40;
  c.before = some_numbers(c.b, count, random);
  c.after =
      c.a == c.b && random() % 2 == 0 ? nudged(c.b, c.before, random) : some_numbers(c.a, count, random);
  return c;
}

Drift measured(const DriftCase& c, std::size_t from, std::size_t to) {
  const std::size_t before_size = info(c.b).itemsize, after_size = info(c.a).itemsize;
  Drift drift;
  drift.before = c.b, drift.after = c.a;
  numeric::measure_block(Bytes(c.before).subspan(from * before_size, (to - from) * before_size),
                         Bytes(c.after).subspan(from * after_size, (to - from) * after_size), from, drift);
  return drift;
}
Drift measured(const DriftCase& c) { return measured(c, 0, c.count()); }

namespace {

class Differences {
 public:
  template <typename T>
  void exact(const char* name, const T& got, const T& expected) {
    if (!(got == expected)) note(name, static_cast<long double>(got), static_cast<long double>(expected));
  }
  // |got − expected| ≤ scale × 2^−bits; infinities are equal.
  void close(const char* name, long double got, long double expected, long double scale, int bits) {
    if (got == expected || (std::isnan(got) && std::isnan(expected))) return;
    if (!(std::abs(got - expected) <= std::ldexp(scale, -bits))) note(name, got, expected);
  }
  const std::string& text() const { return text_; }

 private:
  void note(const char* name, long double got, long double expected) {
    char line[160];
    std::snprintf(line, sizeof line, "%s: %.20Lg, expected %.20Lg\n", name, got, expected);
    text_ += line;
  }
  std::string text_;
};

void compare_counts(const Drift& got, const Drift& expected, Differences& differences) {
#define FERRY_SAME(field) differences.exact(#field, got.field, expected.field)
  FERRY_SAME(elements);
  FERRY_SAME(bits_differing);
  FERRY_SAME(bits_flipped);
  FERRY_SAME(differing);
  FERRY_SAME(zero_signs);
  FERRY_SAME(nans_before);
  FERRY_SAME(nans_after);
  FERRY_SAME(infinities_before);
  FERRY_SAME(infinities_after);
  FERRY_SAME(nans_both);
  FERRY_SAME(nan_payloads);
  FERRY_SAME(nonfinite_mismatches);
  FERRY_SAME(finite);
  FERRY_SAME(max_ulp.whole);
  FERRY_SAME(max_ulp.fraction);
  FERRY_SAME(worst.has_value());
#undef FERRY_SAME
  for (std::size_t bin = 0; bin < kUlpBins; ++bin)
    differences.exact("ulps", got.ulps[bin], expected.ulps[bin]);
}

void compare_hull(const Drift& got, const NaiveDrift& naive, Differences& differences) {
  for (const double rtol : {0.0, 1e-12, 1e-7, 1e-3, 0.1, 1.0, 30.0, 1e9, got.max_rel / 2, got.max_rel}) {
    if (!std::isfinite(rtol)) continue;
    long double low = 0, high = 0;  // what points a rounding lower and higher would need
    for (const HullPoint& point : naive.points) {
      const long double y = point.difference, allowed = static_cast<long double>(rtol) * point.before;
      if (std::isinf(y)) {  // beyond doubles, and at most 2√2 times the largest
        if (allowed < std::numeric_limits<double>::max()) low = y;
        if (allowed < 3.0L * std::numeric_limits<double>::max()) high = y;
        continue;
      }
      const long double rounding = y * 0x1p-50L + 0x1p-1074L;
      low = std::max(low, y - rounding - allowed);
      high = std::max(high, y + rounding - allowed);
    }
    const double least = got.least_atol(rtol);
    if (least < low || least > high) differences.close("least_atol", least, low, 0, 0);
  }
  differences.exact("least_atol(0)", got.least_atol(0), got.max_abs);
}

}  // namespace

std::string disagreement(const Drift& got, const NaiveDrift& naive) {
  const Drift& expected = naive.drift;
  Differences differences;
  compare_counts(got, expected, differences);
  const bool complex =
      number_layouts().at(got.before).components + number_layouts().at(got.after).components > 2;
  const int digits = complex ? 51 : 2000;  // moduli are rounded to within 1 ULP, numbers exact
  differences.close("max_abs", got.max_abs, expected.max_abs, expected.max_abs, digits);
  // The quotient of two moduli, each within 1 ULP, rounded once more.
  differences.close("max_rel", got.max_rel, expected.max_rel, expected.max_rel, complex ? 50 : digits);
  if (got.worst && expected.worst && !complex)
    differences.exact("worst", got.worst->element, expected.worst->element);
  const auto sum = [&](const char* name, long double Drift::*field, long double scale) {
    differences.close(name, got.*field, expected.*field, scale, 52);
  };
  sum("difference_squares", &Drift::difference_squares, expected.difference_squares);
  sum("before_squares", &Drift::before_squares, expected.before_squares);
  sum("after_squares", &Drift::after_squares, expected.after_squares);
  sum("products", &Drift::products, naive.product_sizes);
  sum("difference_sum", &Drift::difference_sum, naive.sizes);
  compare_hull(got, naive, differences);
  if (differences.text().empty()) return {};
  return std::string(info(got.before).name) + ", " + std::string(info(got.after).name) + ", " +
         std::to_string(got.elements) + ":\n" + differences.text();
}

}  // namespace ferry::test
