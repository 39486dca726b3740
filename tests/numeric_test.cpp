#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "src/core/bytes.h"
#include "tests/support/drift_cases.h"
#include "validators/numeric/measure_block.h"

namespace ferry::numeric {
namespace {

using namespace test;

constexpr int kCasesEach = 100;  // of each of rapidcheck's hundred

// What kCasesEach cases from one seed find; empty when all agree.
std::string disagreement_from(std::uint64_t seed) {
  Random random(seed);
  for (int i = 0; i < kCasesEach; ++i) {
    const DriftCase c = some_case(random);
    const std::string found = disagreement(measured(c), naive_drift(c.b, c.a, c.before, c.after));
    if (!found.empty()) return found;
  }
  return "";
}

TEST(MeasureBlock, AgreesWithNaiveArithmeticForAllPairsOfTypes) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    const std::string found = disagreement_from(seed);
    if (!found.empty()) RC_FAIL(found);
  }));
}

// A complex128 pair whose max_rel is off by what two moduli and a division may be, and by more than one
// modulus may.
TEST(MeasureBlock, RelativeDistancesOfComplexNumbersHaveTheErrorOfTwoModuli) {
  EXPECT_EQ(disagreement_from(1611976704834693973), "");
}

TEST(MeasureBlock, CoversEveryPairOfTypes) {
  Random random(1);
  for (const DType b : numeric_types())
    for (const DType a : numeric_types())
      for (const std::size_t count : {1, 70, 600}) {
        const DriftCase c{b, a, some_numbers(b, count, random), some_numbers(a, count, random)};
        const std::string found = disagreement(measured(c), naive_drift(b, a, c.before, c.after));
        ASSERT_EQ(found, "");
      }
}

template <typename T>
Data data_of(const std::vector<T>& numbers) {
  Data data(numbers.size() * sizeof(T));
  if (!data.empty()) std::memcpy(data.data(), numbers.data(), data.size());
  return data;
}

// Every finite number of a type of one or two bytes, in order, each once.
std::vector<std::pair<long double, std::uint64_t>> finite_numbers(DType dtype) {
  const int width = info(dtype).itemsize * 8;
  std::vector<std::pair<long double, std::uint64_t>> numbers;
  for (std::uint64_t bits = 0; bits < std::uint64_t{1} << width; ++bits) {
    const long double value = naive_value(number_layouts().at(dtype), bits, width);
    if (std::isfinite(value) && !(value == 0 && std::signbit(value))) numbers.emplace_back(value, bits);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::uint64_t ulps_between(DType dtype, std::uint64_t before, std::uint64_t after) {
  const std::size_t size = info(dtype).itemsize;
  Data b(size), a(size);
  for (std::size_t i = 0; i < size; ++i) {
    b[i] = static_cast<std::byte>(before >> (8 * i));
    a[i] = static_cast<std::byte>(after >> (8 * i));
  }
  return measured({dtype, dtype, b, a}).max_ulp.whole;
}

TEST(MeasureBlock, CountsTheNumbersBetweenAnyTwoOfOneByte) {
  for (const DType dtype : numeric_types()) {
    if (info(dtype).itemsize != 1 || dtype == DType::boolean) continue;
    const auto numbers = finite_numbers(dtype);
    for (std::size_t i = 0; i < numbers.size(); ++i)
      for (std::size_t j = 0; j < numbers.size(); ++j)
        ASSERT_EQ(ulps_between(dtype, numbers[i].second, numbers[j].second), i < j ? j - i : i - j)
            << info(dtype).name << " " << numbers[i].first << " " << numbers[j].first;
  }
}

TEST(MeasureBlock, StepsThroughAllNumbersOfTwoBytes) {
  for (const DType dtype : {DType::float16, DType::bfloat16}) {
    const auto numbers = finite_numbers(dtype);
    for (std::size_t i = 1; i < numbers.size(); ++i) {
      ASSERT_EQ(ulps_between(dtype, numbers[i - 1].second, numbers[i].second), 1u) << numbers[i].first;
      ASSERT_EQ(ulps_between(dtype, numbers[i].second, numbers[numbers.size() / 3].second),
                i > numbers.size() / 3 ? i - numbers.size() / 3 : numbers.size() / 3 - i);
    }
  }
}

template <typename T>
void step_from(T start, DType dtype) {
  std::vector<T> before(700, start), after;
  for (T number = start; after.size() < before.size(); number = std::nextafter(number, T(INFINITY)))
    after.push_back(number);
  const Drift drift = measured({dtype, dtype, data_of(before), data_of(after)});
  EXPECT_EQ(drift.max_ulp, (Ulps{699, 0})) << start;
  EXPECT_EQ(drift.ulps[0], 1u);
  EXPECT_EQ(drift.ulps[2], 1u);     // 1
  EXPECT_EQ(drift.ulps[3], 1u);     // 2
  EXPECT_EQ(drift.ulps[5], 4u);     // 5 … 8
  EXPECT_EQ(drift.ulps[12], 187u);  // 513 … 699
}

TEST(MeasureBlock, CountsStepsOfNextafter) {
  for (const double start : {-1e-300, 0.0, 1.0, 0.9999999999999999, -0x1p-1060, 1e300})
    step_from(start, DType::float64);
  for (const float start : {-1e-30f, 0.0f, 1.0f, 0.99999994f, -0x1p-140f, 1e30f})
    step_from(start, DType::float32);
}

TEST(MeasureBlock, KeepsDistancesOf64BitsWhole) {
  const std::vector<std::int64_t> least = {INT64_MIN}, largest = {INT64_MAX};
  EXPECT_EQ(measured({DType::int64, DType::int64, data_of(least), data_of(largest)}).max_ulp,
            (Ulps{UINT64_MAX, 0}));
  const std::vector<double> low = {-DBL_MAX}, high = {DBL_MAX};
  EXPECT_EQ(measured({DType::float64, DType::float64, data_of(low), data_of(high)}).max_ulp,
            (Ulps{0xffdffffffffffffe, 0}));
}

// Differences that the 64 bits of a long double round to the midpoint of two doubles: float64 and qint32,
// whose one the kernels round once, and then integers that no double holds.
TEST(MeasureBlock, RoundsDifferencesOnce) {
  EXPECT_EQ(disagreement_from(40137826786545), "");
  const auto max_abs = [](double before, std::int64_t after) {
    const std::vector<double> b = {before};
    const std::vector<std::int64_t> a = {after};
    EXPECT_EQ(measured({DType::int64, DType::float64, data_of(a), data_of(b)}).max_abs,
              measured({DType::float64, DType::int64, data_of(b), data_of(a)}).max_abs);
    return measured({DType::float64, DType::int64, data_of(b), data_of(a)}).max_abs;
  };
  const std::int64_t even = std::int64_t{1} << 53, odd = even + 2;  // their significands
  EXPECT_EQ(max_abs(0, even + 1), 0x1p53);                          // ties go to the even one
  EXPECT_EQ(max_abs(0, odd + 1), 0x1p53 + 4);
  EXPECT_EQ(max_abs(5e-324, even + 1), 0x1p53);
  EXPECT_EQ(max_abs(-5e-324, even + 1), 0x1p53 + 2);
  EXPECT_EQ(max_abs(5e-324, odd + 1), 0x1p53 + 2);
  EXPECT_EQ(max_abs(-5e-324, odd + 1), 0x1p53 + 4);
  EXPECT_EQ(max_abs(5e-324, -even - 1), 0x1p53 + 2);
  EXPECT_EQ(max_abs(-DBL_MAX, INT64_MAX), DBL_MAX);
}

TEST(MeasureBlock, FindsCastsWithinHalfAUlp) {
  Random random(5);
  std::vector<double> doubles(5000);
  std::vector<float> floats;
  std::normal_distribution<double> normal;
  for (double& number : doubles) floats.push_back(static_cast<float>(number = normal(random) * 1e-3));
  const Drift drift = measured({DType::float64, DType::float32, data_of(doubles), data_of(floats)});
  EXPECT_EQ(drift.max_ulp.whole, 0u);
  EXPECT_GT(drift.max_ulp.fraction, 0.49);
  EXPECT_LE(drift.max_ulp.fraction, 0.5);
  EXPECT_EQ(drift.ulps[0] + drift.ulps[1], 5000u);
  const Drift back = measured({DType::float32, DType::float64, data_of(floats), data_of(doubles)});
  EXPECT_EQ(back.max_ulp, drift.max_ulp);
  EXPECT_EQ(back.max_abs, drift.max_abs);
}

TEST(MeasureBlock, ComparesBitsWhereThereAreNoNumbers) {
  const Data before = {std::byte{0x12}, std::byte{0x34}, std::byte{0x56}};
  const Data after = {std::byte{0x12}, std::byte{0x37}, std::byte{0x50}};
  const Drift drift = measured({DType::quint4x2, DType::quint4x2, before, after});
  EXPECT_FALSE(is_numeric(DType::quint4x2));
  EXPECT_EQ(drift.elements, 3u);
  EXPECT_EQ(drift.bits_differing, 2u);
  EXPECT_EQ(drift.bits_flipped, 4u);
  EXPECT_EQ(drift.differing, 2u);
  ASSERT_TRUE(drift.worst);
  EXPECT_EQ(drift.worst->element, 1u);
  EXPECT_EQ(drift.worst->before.bits, 0x34u);
  EXPECT_EQ(drift.finite, 0u);
}

TEST(MeasureBlock, ShowsTheWorstPairWithItsBits) {
  const std::vector<std::int64_t> before = {1, (std::int64_t{1} << 60) + 1, 3}, after = {2, 1, 5};
  Drift drift;
  drift.before = drift.after = DType::int64;
  measure_block(data_of(before), data_of(after), 40, drift);
  ASSERT_TRUE(drift.worst);
  EXPECT_EQ(drift.worst->element, 41u);
  EXPECT_EQ(drift.worst->before.real, 0x1p60);
  EXPECT_EQ(drift.worst->before.bits, (std::uint64_t{1} << 60) + 1);
  EXPECT_EQ(drift.worst->after.bits, 1u);
}

}  // namespace
}  // namespace ferry::numeric
