#include "validators/numeric/bound.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "validators/numeric/measure_block.h"

namespace ferry::numeric {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

template <typename B, typename A>
Drift drift_of(DType before_type, const std::vector<B>& before, DType after_type,
               const std::vector<A>& after) {
  Drift drift;
  drift.before = before_type, drift.after = after_type;
  measure_block(std::as_bytes(std::span(before)), std::as_bytes(std::span(after)), 0, drift);
  return drift;
}
Drift doubles(const std::vector<double>& before, const std::vector<double>& after) {
  return drift_of(DType::float64, before, DType::float64, after);
}

Bound tolerances(double rtol, double atol) {
  Bound bound;
  bound.rtol = rtol, bound.atol = atol;
  return bound;
}
Bound strict(Bound bound) {
  bound.nan = NaNPolicy::strict;
  return bound;
}

TEST(Judge, AsksForEqualBitsWhenNothingIsGiven) {
  EXPECT_TRUE(judge(doubles({1, kNaN, 0.0}, {1, kNaN, 0.0}), {}).within);
  EXPECT_EQ(judge(doubles({1, 2}, {1, 2.5}), {}).why,
            "1 of 2 elements differs; max |Δ| 0.5, 1,125,899,906,842,624 ULP");
  EXPECT_EQ(judge(doubles({0.0, -0.0}, {-0.0, 0.0}), {}).why, "2 zeros have another sign");
  EXPECT_EQ(judge(doubles({kNaN}, {-kNaN}), {}).why, "1 NaN has other bits");
  const std::vector<unsigned char> one = {1}, two = {2};
  EXPECT_EQ(judge(drift_of(DType::boolean, one, DType::boolean, two), {}).why,
            "1 equal element has other bits");
  EXPECT_EQ(judge(drift_of(DType::quint4x2, one, DType::quint4x2, two), {}).why,
            "1 of 1 element differs; 2 bits flipped");
}

TEST(Judge, ComparesTwoTypesByTheirNumbers) {
  const std::vector<float> floats = {1, 0.5f, -0.0f};
  EXPECT_FALSE(
      judge(drift_of(DType::float32, floats, DType::float64, std::vector<double>{1, 0.5, 0}), {}).within);
  EXPECT_TRUE(
      judge(drift_of(DType::float32, floats, DType::float64, std::vector<double>{1, 0.5, -0.0}), {}).within);
  EXPECT_TRUE(judge(drift_of(DType::float32, floats, DType::float64, std::vector<double>{1, 0.5, 0}),
                    tolerances(0, 0))
                  .within);
}

TEST(Judge, HoldsEveryPairToAtolPlusRtolTimesBefore) {
  const Drift drift = doubles({0, 10, 1000}, {0.25, 10.5, 1001});
  EXPECT_TRUE(judge(drift, tolerances(0.03125, 0.25)).within);
  EXPECT_FALSE(judge(drift, tolerances(0.02, 0.25)).within);
  EXPECT_TRUE(judge(drift, tolerances(0, 1)).within);
  EXPECT_FALSE(judge(drift, tolerances(0, 0.9999)).within);
  EXPECT_FALSE(judge(drift, tolerances(1e9, 0.125)).within);  // nothing is relative to 0
  EXPECT_EQ(
      judge(drift, tolerances(0.02, 0.125)).why,
      "3 of 3 elements differ; |Δ| exceeds atol 0.125 + rtol 0.02 · |before| by up to 0.175 (max |Δ| 1)");
  EXPECT_EQ(judge(drift, tolerances(0, 0.75)).why,
            "3 of 3 elements differ; |Δ| exceeds atol 0.75 by up to 0.25 (max |Δ| 1)");
}

TEST(Judge, LetsOneToleranceLeaveTheOtherZero) {
  Bound bound;
  bound.rtol = 0.5;
  EXPECT_TRUE(judge(doubles({2}, {3}), bound).within);
  EXPECT_FALSE(judge(doubles({0}, {1}), bound).within);
}

TEST(Judge, CountsUlps) {
  Bound bound;
  bound.ulp = 1;
  const double next = std::nextafter(1.0, 2.0), after_next = std::nextafter(next, 2.0);
  EXPECT_TRUE(judge(doubles({1}, {next}), bound).within);
  EXPECT_EQ(judge(doubles({1}, {after_next}), bound).why, "1 of 1 element differs; max ULP 2 exceeds 1");
  bound.ulp = 0.5;
  EXPECT_FALSE(judge(doubles({1}, {next}), bound).within);
  const std::vector<double> third = {1.0 / 3};
  const std::vector<float> rounded = {1.0f / 3};
  EXPECT_TRUE(judge(drift_of(DType::float64, third, DType::float32, rounded), bound).within);
}

TEST(Judge, AsksForAllThatIsGiven) {
  Bound bound = tolerances(0, 1);
  bound.ulp = 3;
  const Verdict verdict = judge(doubles({1}, {1.5}), bound);
  EXPECT_FALSE(verdict.within);
  EXPECT_EQ(verdict.why, "1 of 1 element differs; max ULP 2,251,799,813,685,248 exceeds 3");
}

TEST(Judge, LetsNoToleranceCoverWhatIsNotFinite) {
  EXPECT_EQ(judge(doubles({1, 2, INFINITY}, {1, kNaN, -INFINITY}), tolerances(1, 1e300)).why,
            "2 of 3 elements differ; 2 NaNs or infinities have no equal on the other side");
  EXPECT_TRUE(judge(doubles({INFINITY}, {INFINITY}), tolerances(0, 0)).within);
}

TEST(Judge, TakesNaNsAsEqualUnlessStrict) {
  const Drift drift = doubles({kNaN, 1}, {-kNaN, 1});
  EXPECT_TRUE(judge(drift, tolerances(0, 0)).within);
  EXPECT_EQ(judge(drift, strict(tolerances(0, 0))).why, "1 pair of NaNs, which strictly are not equal");
  EXPECT_FALSE(judge(doubles({kNaN}, {kNaN}), strict({})).within);
}

// As numpy.allclose has it: a difference beyond all doubles is allowed where the tolerance is surely beyond
// it.
TEST(Judge, AllowsDifferencesBeyondDoublesWhereTheToleranceReachesAsFar) {
  const double huge = 1.7e308;
  const Drift drift = doubles({-huge}, {huge});
  EXPECT_EQ(drift.max_abs, INFINITY);
  EXPECT_TRUE(judge(drift, tolerances(3, 0)).within);
  EXPECT_FALSE(judge(drift, tolerances(1.9, 0)).within);
  EXPECT_FALSE(judge(drift, tolerances(0, 1.7e308)).within);
  // The infinite difference hides no finite one, wherever it stands.
  for (const auto& order : {std::array{0, 1, 2, 3}, std::array{3, 2, 1, 0}, std::array{1, 3, 0, 2}}) {
    const std::array<double, 4> before = {1, -huge, 1e300, -1.75e308}, after = {1000, huge, 1e300, 1.75e308};
    std::vector<double> mine, others;
    for (const int i : order) {
      mine.push_back(before[static_cast<std::size_t>(i)]);
      others.push_back(after[static_cast<std::size_t>(i)]);
    }
    EXPECT_FALSE(judge(doubles(mine, others), tolerances(3, 0)).within);
    EXPECT_TRUE(judge(doubles(mine, others), tolerances(3, 1000)).within);
    EXPECT_TRUE(judge(doubles(mine, others), tolerances(1000, 0)).within);
  }
}

// A later finite corner right of many that an infinite difference ended.
TEST(Judge, FindsFinitePointsBesideInfiniteDifferences) {
  std::vector<double> before(5000, 1e-3), after(5000, 1e-3);
  before[7] = -1.7e308, after[7] = 1.7e308;
  before[4000] = 1e304, after[4000] = 9e304;
  EXPECT_TRUE(judge(doubles(before, after), tolerances(9, 0)).within);
  EXPECT_FALSE(judge(doubles(before, after), tolerances(7, 0)).within);
}

// Source: torch.testing.assert_close's documentation.
TEST(TorchTestingBound, HasTheDefaultsOfTorch) {
  const auto numbers = [](DType before, DType after) {
    const Bound bound = torch_testing_bound(before, after);
    return std::pair(*bound.rtol, *bound.atol);
  };
  EXPECT_EQ(numbers(DType::float16, DType::float16), std::pair(1e-3, 1e-5));
  EXPECT_EQ(numbers(DType::bfloat16, DType::bfloat16), std::pair(1.6e-2, 1e-5));
  EXPECT_EQ(numbers(DType::float32, DType::complex64), std::pair(1.3e-6, 1e-5));
  EXPECT_EQ(numbers(DType::float64, DType::complex128), std::pair(1e-7, 1e-7));
  EXPECT_EQ(numbers(DType::qint8, DType::quint8), std::pair(1.3e-6, 1e-5));
  EXPECT_EQ(numbers(DType::int64, DType::boolean), std::pair(0.0, 0.0));
  EXPECT_EQ(numbers(DType::float16, DType::float64), std::pair(1e-3, 1e-5));
  EXPECT_EQ(numbers(DType::float64, DType::int32), std::pair(1e-7, 1e-7));
}

// torch dequantizes first: qint32 with zero point 10⁶ and scale 0.1, 10⁶ and 10⁶ + 1 are 0 and 0.1.
TEST(BoundFor, HoldsPartsOfQuantizedTensorsToEqualityWhereTheTableIsAsked) {
  std::vector<BoundRow> rows(1);
  rows[0].pattern = "*", rows[0].torch_testing = true;
  const auto numbers = [&](DType dtype, bool part) {
    const Bound bound = bound_for(rows, "w", dtype, dtype, NaNPolicy::equal, part);
    return std::pair(*bound.rtol, *bound.atol);
  };
  EXPECT_EQ(numbers(DType::qint32, false), std::pair(0.0, 0.0));
  EXPECT_EQ(numbers(DType::quint8, true), std::pair(0.0, 0.0));
  EXPECT_EQ(numbers(DType::float64, true), std::pair(0.0, 0.0));
  EXPECT_EQ(numbers(DType::float64, false), std::pair(1e-7, 1e-7));
}

TEST(BoundFor, LetsLaterRowsDecideEachNumber) {
  std::vector<BoundRow> rows(4);
  rows[0].pattern = "*", rows[0].torch_testing = true;
  rows[1].pattern = "*.weight", rows[1].atol = 0.5;
  rows[2].pattern = "head.*", rows[2].ulp = 4;
  rows[3].pattern = "tail.*", rows[3].rtol = 1;
  const Bound bound = bound_for(rows, "head.weight", DType::float16, DType::float16, NaNPolicy::strict);
  EXPECT_EQ(bound.rtol, 1e-3);
  EXPECT_EQ(bound.atol, 0.5);
  EXPECT_EQ(bound.ulp, 4.0);
  EXPECT_EQ(bound.nan, NaNPolicy::strict);
  EXPECT_TRUE(bound_for({}, "head.weight", DType::float16, DType::float16, NaNPolicy::equal).exact());
}

}  // namespace
}  // namespace ferry::numeric
