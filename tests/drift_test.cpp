#include "src/core/drift.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "tests/support/drift_cases.h"

namespace ferry {
namespace {

using namespace test;

template <typename T>
Drift drift_of(DType dtype, const std::vector<T>& before, const std::vector<T>& after) {
  DriftCase c{dtype, dtype, Data(before.size() * sizeof(T)), Data(after.size() * sizeof(T))};
  std::memcpy(c.before.data(), before.data(), c.before.size());
  std::memcpy(c.after.data(), after.data(), c.after.size());
  return measured(c);
}

// Counts and extremes do not depend on where a tensor is cut; sums do not beyond their rounding.
TEST(Drift, MergesPartsIntoTheWhole) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    Random random(seed);
    for (int i = 0; i < 20; ++i) {
      const DriftCase c = some_case(random);
      const std::size_t cut = c.count() == 0 ? 0 : random() % c.count();
      const std::size_t again = cut + (c.count() == cut ? 0 : random() % (c.count() - cut));
      Drift left = measured(c, 0, cut);
      Drift middle = measured(c, cut, again);
      const Drift right = measured(c, again, c.count());
      Drift other = left;
      left.merge(middle);
      left.merge(right);
      const std::string found = disagreement(left, naive_drift(c.b, c.a, c.before, c.after));
      if (!found.empty()) RC_FAIL(found);
      middle.merge(right);  // the other way to bracket
      other.merge(middle);
      const auto place = [](const Drift& drift) {
        return drift.worst ? drift.worst->element : ~std::uint64_t{0};
      };
      RC_ASSERT(place(other) == place(left));
      RC_ASSERT(other.ulps == left.ulps);
      RC_ASSERT(other.max_abs == left.max_abs);
      RC_ASSERT(other.max_rel == left.max_rel);
      RC_ASSERT(other.max_ulp == left.max_ulp);
      RC_ASSERT(other.differing == left.differing);
      RC_ASSERT(other.bits_flipped == left.bits_flipped);
    }
  }));
}

TEST(Drift, KeepsOfManyPointsOnlyTheCorners) {
  Random random(9);
  std::normal_distribution<double> normal;
  std::vector<double> before(200000), after;
  for (double& number : before) after.push_back((number = normal(random)) + 1e-6 * normal(random));
  const Drift drift = drift_of(DType::float64, before, after);
  EXPECT_LT(drift.hull.size(), 40u);
  for (std::size_t i = 1; i < drift.hull.size(); ++i) {
    EXPECT_LT(drift.hull[i - 1].before, drift.hull[i].before);
    EXPECT_LT(drift.hull[i - 1].difference, drift.hull[i].difference);
  }
}

// Every point a corner: no time that grows with the square of their number.
TEST(Drift, SurvivesATensorWhosePointsAreAllCorners) {
  std::vector<double> before, after;
  for (int i = 1; i <= 200000; ++i) {
    before.push_back(i);
    after.push_back(i + std::sqrt(static_cast<double>(i)));
  }
  const Drift drift = drift_of(DType::float64, before, after);
  EXPECT_GT(drift.hull.size(), 100000u);
  EXPECT_DOUBLE_EQ(drift.least_atol(0.01), 25);  // √x − x / 100 is largest at 2500
}

TEST(Drift, BinsDistances) {
  EXPECT_EQ(ulp_bin({0, 0}), 0u);
  EXPECT_EQ(ulp_bin({0, 0x1p-1000}), 1u);
  EXPECT_EQ(ulp_bin({0, 0.5}), 1u);
  EXPECT_EQ(ulp_bin({0, 0.75}), 2u);
  EXPECT_EQ(ulp_bin({1, 0}), 2u);
  EXPECT_EQ(ulp_bin({1, 0.25}), 3u);
  EXPECT_EQ(ulp_bin({2, 0}), 3u);
  EXPECT_EQ(ulp_bin({2, 0.5}), 4u);
  EXPECT_EQ(ulp_bin({4, 0}), 4u);
  EXPECT_EQ(ulp_bin({5, 0}), 5u);
  EXPECT_EQ(ulp_bin({UINT64_MAX, 0}), kUlpBins - 1);
}

TEST(Drift, DerivesItsFigures) {
  const std::vector<float> before = {3, 4}, after = {3, 1};
  const Drift drift = drift_of(DType::float32, before, after);
  EXPECT_DOUBLE_EQ(drift.rms(), 3 / std::sqrt(2.0));
  EXPECT_DOUBLE_EQ(drift.relative_frobenius(), 0.6);
  EXPECT_DOUBLE_EQ(drift.cosine(), 13 / (5 * std::sqrt(10.0)));
  EXPECT_DOUBLE_EQ(drift.snr_db(), 10 * std::log10(25.0 / 9));
  EXPECT_DOUBLE_EQ(drift.mean_difference(), -1.5);
  const Drift nothing;
  EXPECT_EQ(nothing.rms(), 0);
  EXPECT_EQ(nothing.relative_frobenius(), 0);
  EXPECT_EQ(nothing.cosine(), 1);
  EXPECT_EQ(nothing.snr_db(), INFINITY);
  EXPECT_EQ(nothing.least_atol(0), 0);
}

}  // namespace
}  // namespace ferry
