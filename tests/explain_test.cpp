// Explanations: each cause is named where it is true, and not where one element says otherwise.
#include "validators/numeric/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>

#include "validators/numeric/measure_block.h"
#include "validators/numeric/rounding.h"
#include "validators/numeric/spectral.h"
#include "validators/numeric/tensor_reader.h"

namespace ferry::numeric {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

using Shape = std::vector<std::int64_t>;

// A contiguous tensor that owns what its view points to.
class Made {
 public:
  template <typename T>
  Made(DType dtype, Shape shape, const std::vector<T>& numbers)
      : shape_(std::move(shape)), strides_(shape_.size()), source_("memory", bytes_of(numbers)) {
    std::int64_t stride = 1;
    for (std::size_t i = shape_.size(); i-- > 0; stride *= shape_[i]) strides_[i] = stride;
    dtype_ = dtype;
  }
  TensorView view() const { return {&source_, 0, dtype_, false, false, false, shape_, strides_}; }

 private:
  template <typename T>
  static std::vector<std::byte> bytes_of(const std::vector<T>& numbers) {
    std::vector<std::byte> bytes(numbers.size() * sizeof(T));
    if (!bytes.empty()) std::memcpy(bytes.data(), numbers.data(), bytes.size());
    return bytes;
  }
  Shape shape_, strides_;
  MemorySource source_;
  DType dtype_;
};

using Floats = std::vector<float>;

Made tensor(Shape shape, const Floats& numbers) { return {DType::float32, std::move(shape), numbers}; }

Floats gaussian(std::size_t count, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.1f);
  Floats numbers(count);
  for (float& number : numbers) number = normal(random);
  return numbers;
}

template <typename F>
Floats mapped(Floats numbers, F map) {
  for (float& number : numbers) number = static_cast<float>(map(number));
  return numbers;
}

std::vector<Explanation> explain(const Made& before, const Made& after, std::string_view name = "weight") {
  Drift drift;
  drift.before = before.view().dtype;
  drift.after = after.view().dtype;
  const auto all = [](const TensorView& view) {
    std::vector<std::byte> bytes(view.size_bytes());
    read_elements(view, 0, view.numel(), bytes);
    return bytes;
  };
  measure_block(all(before.view()), all(after.view()), 0, drift);
  return explain_drift(before.view(), after.view(), &drift, name);
}

std::vector<std::string> texts(const std::vector<Explanation>& explanations) {
  std::vector<std::string> found;
  for (const auto& one : explanations) found.push_back(one.text);
  return found;
}

std::vector<Cause> causes(const std::vector<Explanation>& explanations) {
  std::vector<Cause> found;
  for (const auto& one : explanations) found.push_back(one.cause);
  return found;
}

// `after` of a change of `before`; with and without one element that contradicts it.
void expect_only_whole(const Floats& before, Floats after, const Shape& shape, Cause cause,
                       const std::string& text) {
  const auto whole = explain(tensor(shape, before), tensor(shape, after));
  EXPECT_THAT(causes(whole), ElementsAre(cause)) << text;
  EXPECT_THAT(texts(whole), ElementsAre(text));
  for (const std::size_t at : {std::size_t{0}, after.size() / 2, after.size() - 1}) {
    const float old = after[at];
    after[at] = old * 1.0625f + 0.01f;
    EXPECT_THAT(explain(tensor(shape, before), tensor(shape, after)), IsEmpty()) << text << " but for " << at;
    after[at] = old;
  }
}

Floats rounded(const Floats& numbers, const Rounding& rounding) {
  return mapped(numbers, [&](float x) { return round_to(rounding, x); });
}

TEST(Rounding, AgreesWithTheHardwareForFloat16AndFloat32) {
  std::mt19937 random(5);
  for (int i = 0; i < 200'000; ++i) {
    const auto x = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    const auto half = static_cast<double>(static_cast<_Float16>(x));
    const double ours = round_to(rounding_to(DType::float16), x);
    ASSERT_TRUE(half == ours || (std::isnan(half) && std::isnan(ours))) << x;
    const double wide = std::bit_cast<double>(std::uint64_t{random()} << 32 | random());
    const auto single = static_cast<double>(static_cast<float>(wide));
    const double also = round_to(rounding_to(DType::float32), wide);
    ASSERT_TRUE(single == also || (std::isnan(single) && std::isnan(also))) << wide;
  }
}

TEST(Rounding, TakesTiesToEvenAndKnowsTheEnds) {
  const Rounding half = rounding_to(DType::float16), brain = rounding_to(DType::bfloat16);
  EXPECT_EQ(round_to(half, 65519), 65504);
  EXPECT_EQ(round_to(half, 65520), HUGE_VAL);
  EXPECT_EQ(round_to(half, 0x1p-25), 0);
  EXPECT_EQ(round_to(half, 0x1.8p-24), 0x1p-23);
  EXPECT_TRUE(std::signbit(round_to(half, -0x1p-30)));
  EXPECT_EQ(round_to(brain, 1.00390625), 1);
  EXPECT_EQ(round_to(brain, 1.01171875), 1.015625);
  const Rounding e4m3 = rounding_to(DType::float8_e4m3fn), e5m2 = rounding_to(DType::float8_e5m2);
  EXPECT_EQ(round_to(e4m3, 464), 448);
  EXPECT_TRUE(std::isnan(round_to(e4m3, 465)));
  EXPECT_TRUE(std::isnan(round_to(e4m3, HUGE_VAL)));
  EXPECT_EQ(round_to(e4m3, 0x1p-10), 0);
  EXPECT_EQ(round_to(e5m2, 61440), HUGE_VAL);
  EXPECT_EQ(round_to(e5m2, 57344), 57344);
  EXPECT_EQ(rounding_to(DType::float8_e4m3fnuz).largest, 240);
  EXPECT_EQ(round_to(tf32_rounding(false), 0x1.003p0), 0x1.004p0);
  EXPECT_EQ(round_to(tf32_rounding(true), 0x1.003p0), 0x1.000p0);
}

TEST(Rounding, DecodesEveryPatternOfSmallTypes) {
  for (const DType dtype : {DType::float16, DType::bfloat16, DType::int16, DType::uint16}) {
    std::vector<std::uint16_t> words(65536);
    std::iota(words.begin(), words.end(), std::uint16_t{0});
    std::vector<double> numbers;
    decode_components(dtype, std::as_bytes(std::span(words)), numbers);
    for (std::size_t i = 0; i < words.size(); ++i) {
      const auto expected = static_cast<double>(decode_component(format_of(dtype), i));
      ASSERT_TRUE(numbers[i] == expected || (std::isnan(expected) && std::isnan(numbers[i]))) << i;
    }
  }
}

TEST(Rounding, WritesTheShortestDecimalOfTheType) {
  const auto text = [](DType dtype, auto number) {
    return element_text(dtype, std::as_bytes(std::span(&number, 1)));
  };
  EXPECT_EQ(text(DType::float32, 0.1f), "0.1");
  EXPECT_EQ(text(DType::float64, 0.1), "0.1");
  EXPECT_EQ(text(DType::float32, 16777216.0f), "16777216.0");
  EXPECT_EQ(text(DType::float16, std::uint16_t{0x2e66}), "0.1");
  EXPECT_EQ(text(DType::int8, std::int8_t{-3}), "-3");
  EXPECT_EQ(text(DType::int64, std::numeric_limits<std::int64_t>::max()), "9223372036854775807");
  EXPECT_EQ(text(DType::float32, -HUGE_VALF), "-inf");
  EXPECT_EQ(text(DType::complex64, std::array{1.5f, -2.0f}), "(1.5-2.0j)");
}

TEST(Explain, SaysNothingOfAnOrdinaryFineTune) {
  const Floats before = gaussian(6000), noise = gaussian(6000, 2);
  Floats after = before;
  for (std::size_t i = 0; i < after.size(); ++i) after[i] += 1e-3f * noise[i];
  EXPECT_THAT(explain(tensor({60, 100}, before), tensor({60, 100}, after)), IsEmpty());
  EXPECT_THAT(explain(tensor({60, 100}, before), tensor({60, 100}, before)), IsEmpty());
}

TEST(Explain, NamesRoundingsOfFloat32) {
  const Floats before = gaussian(5000);
  const Shape shape{5000};
  expect_only_whole(before, rounded(before, rounding_to(DType::float16)), shape, Cause::float16_rounding,
                    "equal to the float16 rounding of before");
  expect_only_whole(before, rounded(before, rounding_to(DType::bfloat16)), shape, Cause::bfloat16_rounding,
                    "equal to the bfloat16 rounding of before");
  expect_only_whole(before, rounded(before, tf32_rounding(true)), shape, Cause::tf32_truncation,
                    "equal to before cut off to tf32");
  expect_only_whole(before, rounded(before, rounding_to(DType::float8_e4m3fn)), shape, Cause::float8_rounding,
                    "equal to the float8_e4m3fn rounding of before");
  expect_only_whole(before, rounded(before, rounding_to(DType::float8_e5m2)), shape, Cause::float8_rounding,
                    "equal to the float8_e5m2 rounding of before");
  Floats large = before;
  large[7] = 1e9f;  // beyond float16, not beyond tf32
  expect_only_whole(large, rounded(large, tf32_rounding(false)), shape, Cause::tf32_rounding,
                    "equal to the tf32 rounding of before");
}

TEST(Explain, NamesOverflowAfterTheRounding) {
  Floats before = gaussian(100);
  before[3] = 1e6f;
  const auto found =
      explain(tensor({100}, before), tensor({100}, rounded(before, rounding_to(DType::float16))));
  EXPECT_THAT(causes(found), ElementsAre(Cause::float16_rounding, Cause::nonfinite));
  EXPECT_EQ(found[1].text, "1 became infinite");
}

TEST(Explain, KnowsThatCastsToFloat8MaySaturate) {
  Floats before = gaussian(100);
  before[3] = 1e6f;
  Rounding rounding = rounding_to(DType::float8_e4m3fn);
  for (const bool saturates : {false, true}) {
    rounding.saturates = saturates;
    const auto found = explain(tensor({100}, before), tensor({100}, rounded(before, rounding)));
    EXPECT_EQ(found.front().cause, Cause::float8_rounding);
    EXPECT_EQ(found.size(), saturates ? 1u : 2u);
  }
}

TEST(Explain, NamesRoundingsOfFloat64AndCasts) {
  std::vector<double> before(3000);
  std::mt19937_64 random(9);
  for (double& number : before) number = std::normal_distribution<double>()(random);
  std::vector<double> single(before.size());
  std::vector<float> cast(before.size());
  for (std::size_t i = 0; i < before.size(); ++i) single[i] = cast[i] = static_cast<float>(before[i]);
  const Made wide(DType::float64, {3000}, before);
  EXPECT_THAT(texts(explain(wide, {DType::float64, {3000}, single})),
              ElementsAre("equal to the float32 rounding of before"));
  EXPECT_THAT(texts(explain(wide, tensor({3000}, cast))), ElementsAre("cast to float32, values as rounded"));
  cast[2999] = std::nextafterf(cast[2999], 9);
  EXPECT_THAT(explain(wide, tensor({3000}, cast)), IsEmpty());
  EXPECT_THAT(texts(explain({DType::float64, {2}, std::vector<double>{1, 2}}, tensor({2}, {1, 2}))),
              ElementsAre("cast to float32, no value changed"));
}

TEST(Explain, KnowsThatTorchCastsFloat64ThroughFloat32) {
  const double tie = 1 + 0x1p-11 + 0x1p-40;  // above a tie of float16, and on it once it is a float32
  const Made before(DType::float64, {2}, std::vector<double>{tie, tie});
  const auto half = [](std::uint16_t bits) {
    return Made(DType::float16, {2}, std::vector<std::uint16_t>{bits, bits});
  };
  EXPECT_EQ(explain(before, half(0x3c00)).front().cause, Cause::float16_rounding);
  EXPECT_EQ(explain(before, half(0x3c01)).front().cause, Cause::float16_rounding);
}

TEST(Explain, NamesFactorsAndTerms) {
  const Floats before = gaussian(5000);
  const Shape shape{50, 100};
  for (const auto& [factor, text] : std::vector<std::pair<double, std::string>>{
           {1.00001, "1.00001"}, {0.5, "0.5"}, {-3, "−3"}, {0.999, "0.999"}})
    expect_only_whole(before, mapped(before, [factor = factor](float x) { return x * factor; }), shape,
                      Cause::scaled, "before × " + text);
  expect_only_whole(before, mapped(before, [](float x) { return -x; }), shape, Cause::negated,
                    "negated: before × −1");
  expect_only_whole(before, mapped(before, [](float x) { return x + 0.001f; }), shape, Cause::shifted,
                    "before + 0.001");
  expect_only_whole(before, mapped(before, [](float x) { return x - 2.0f; }), shape, Cause::shifted,
                    "before − 2");
}

TEST(Explain, DoesNotTakeNoiseForAFactor) {
  const Floats before = gaussian(5000);
  const Floats after = mapped(before, [](float x) { return std::nextafterf(x, 1); });
  EXPECT_THAT(explain(tensor({5000}, before), tensor({5000}, after)), IsEmpty());
  EXPECT_THAT(explain(tensor({2}, {1, 2}), tensor({2}, {3, 6})), IsEmpty());  // two numbers are no evidence
}

TEST(Explain, NamesTermsOfIntegers) {
  const Made before(DType::int32, {4}, std::vector<std::int32_t>{1, 5, 9, -2});
  EXPECT_THAT(texts(explain(before, {DType::int32, {4}, std::vector<std::int32_t>{4, 8, 12, 1}})),
              ElementsAre("before + 3"));
  EXPECT_THAT(explain(before, {DType::int32, {4}, std::vector<std::int32_t>{4, 8, 12, 2}}), IsEmpty());
}

// `numbers` with the element of each place taken from the place that `from` says.
template <typename From>
Floats moved(const Floats& numbers, From from) {
  Floats result(numbers.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) result[i] = numbers[from(i)];
  return result;
}

TEST(Explain, NamesTranspositions) {
  const Floats square = gaussian(64 * 64);
  expect_only_whole(square, moved(square, [](std::size_t i) { return i % 64 * 64 + i / 64; }), {64, 64},
                    Cause::transposed, "transposed");
  const Floats kernel = gaussian(8 * 4 * 9);
  expect_only_whole(kernel, moved(kernel, [](std::size_t i) { return i / 9 * 9 + i % 3 * 3 + i % 9 / 3; }),
                    {8, 4, 3, 3}, Cause::transposed, "transposed, axes (0, 1, 3, 2)");
}

TEST(Explain, FindsTranspositionsToAnotherShape) {
  const Floats numbers = gaussian(6 * 35);
  const Made before = tensor({6, 35}, numbers);
  Floats turned = moved(numbers, [](std::size_t i) { return i % 6 * 35 + i / 6; });
  EXPECT_EQ(find_transposition(before.view(), tensor({35, 6}, turned).view()),
            (std::vector<std::size_t>{1, 0}));
  EXPECT_THAT(texts(explain_drift(before.view(), tensor({35, 6}, turned).view(), nullptr, "weight")),
              ElementsAre("transposed"));
  turned[100] += 1;
  EXPECT_EQ(find_transposition(before.view(), tensor({35, 6}, turned).view()), std::nullopt);
  EXPECT_EQ(find_transposition(before.view(), tensor({210}, numbers).view()), std::nullopt);
}

TEST(Explain, NamesPermutationsOfSlices) {
  const Floats gates = gaussian(256 * 10);
  const auto block = [](std::size_t row) {
    return std::array<std::size_t, 4>{0, 2, 1, 3}[row / 64] * 64 + row % 64;
  };
  expect_only_whole(gates, moved(gates, [&](std::size_t i) { return block(i / 10) * 10 + i % 10; }),
                    {256, 10}, Cause::permuted, "rows permuted, 4 blocks of 64: 0 2 1 3");
  const Floats table = gaussian(7 * 9);
  const auto column = [](std::size_t j) { return j == 2 ? std::size_t{5} : j == 5 ? std::size_t{2} : j; };
  expect_only_whole(table, moved(table, [&](std::size_t i) { return i / 9 * 9 + column(i % 9); }), {7, 9},
                    Cause::permuted, "columns permuted, 2 of 9 moved: 2 ← 5, 5 ← 2");
  const Floats kernel = gaussian(8 * 3 * 25);
  expect_only_whole(
      kernel, moved(kernel, [](std::size_t i) { return i / 75 * 75 + (2 - i % 75 / 25) * 25 + i % 25; }),
      {8, 3, 5, 5}, Cause::reversed, "input channels in reverse order");
  const Floats line = gaussian(50);
  expect_only_whole(line, moved(line, [](std::size_t i) { return 49 - i; }), {50}, Cause::reversed,
                    "elements in reverse order");
}

TEST(Explain, NamesPermutationsOfLongRows) {
  const Floats table = gaussian(30 * 500);
  expect_only_whole(table, moved(table, [](std::size_t i) { return (i / 500 + 10) % 30 * 500 + i % 500; }),
                    {30, 500}, Cause::permuted, "rows permuted, 3 blocks of 10: 1 2 0");
}

TEST(Explain, NamesSlicesThatAreTheSameOnlyOnce) {
  Floats numbers = gaussian(6 * 5);
  for (std::size_t j = 0; j < 5; ++j) numbers[j] = numbers[10 + j];  // rows 0 and 2
  const auto from = [](std::size_t row) { return std::array<std::size_t, 6>{0, 1, 4, 3, 2, 5}[row]; };
  expect_only_whole(numbers, moved(numbers, [&](std::size_t i) { return from(i / 5) * 5 + i % 5; }), {6, 5},
                    Cause::permuted, "rows permuted, 2 of 6 moved: 2 ← 4, 4 ← 2");
}

TEST(Explain, NamesARearrangementThatNoAxisExplains) {
  const Floats numbers = gaussian(8 * 9);
  Floats after = numbers;
  std::shuffle(after.begin(), after.end(), std::mt19937(3));
  expect_only_whole(numbers, after, {8, 9}, Cause::rearranged, "the same elements in another order");
}

TEST(Explain, NamesZerosConstantsAndNewStatistics) {
  const Floats before = gaussian(500);
  const Floats zeros(500), ones(500, 1);
  const Shape shape{500};
  const auto check = [&](const Floats& after, std::string_view name) {
    return explain(tensor(shape, before), tensor(shape, after), name);
  };
  EXPECT_THAT(texts(check(zeros, "weight")), ElementsAre("all zeros now"));
  EXPECT_THAT(texts(check(ones, "weight")), ElementsAre("one value everywhere now: 1.0"));
  EXPECT_THAT(causes(check(zeros, "running_mean")), ElementsAre(Cause::stats_reset));
  EXPECT_THAT(causes(check(ones, "running_var")), ElementsAre(Cause::stats_reset));
  EXPECT_THAT(causes(check(zeros, "running_var")), ElementsAre(Cause::zeros));
  Floats nearly = zeros;
  nearly[499] = 1e-30f;
  EXPECT_THAT(causes(check(nearly, "running_mean")), Not(::testing::Contains(Cause::stats_reset)));
  nearly = ones;
  nearly[0] = 2;
  EXPECT_THAT(check(nearly, "running_var"), IsEmpty());
}

TEST(Explain, NamesCounters) {
  const auto counter = [](std::int64_t value) { return Made(DType::int64, {}, std::vector{value}); };
  EXPECT_THAT(texts(explain(counter(100), counter(350), "num_batches_tracked")),
              ElementsAre(HasSubstr("counted on from 100")));
  EXPECT_EQ(explain(counter(100), counter(0), "num_batches_tracked").front().cause, Cause::stats_reset);
  EXPECT_THAT(explain(counter(100), counter(350), "step"), IsEmpty());
}

TEST(Explain, NamesOneBitAndOneElement) {
  const Floats before(gaussian(60));
  Floats one = before, other;
  one[17] = 0.5f;
  other = one;
  other[17] = 1.0f;
  EXPECT_THAT(texts(explain(tensor({10, 6}, one), tensor({10, 6}, other))),
              ElementsAre("bit 23 of element [2, 5]: 0.5 → 1.0"));
  other[17] = 0.5005f;
  EXPECT_THAT(texts(explain(tensor({10, 6}, one), tensor({10, 6}, other))),
              ElementsAre("one element [2, 5]: 0.5 → 0.5005 (× 1.001)"));
  one[3] = 0.0f;
  other = one;
  other[3] = -0.0f;
  EXPECT_THAT(texts(explain(tensor({10, 6}, one), tensor({10, 6}, other))),
              ElementsAre("bit 31 of element [0, 3]: 0.0 → -0.0"));
  other[4] *= 3;
  EXPECT_THAT(explain(tensor({10, 6}, one), tensor({10, 6}, other)), IsEmpty());
}

TEST(Explain, NamesWhatBecameNonfinite) {
  const Floats before = gaussian(100);
  Floats after = mapped(before, [](float x) { return x * x + x; });
  after[1] = after[2] = std::numeric_limits<float>::quiet_NaN();
  after[9] = HUGE_VALF;
  EXPECT_THAT(texts(explain(tensor({100}, before), tensor({100}, after))),
              ElementsAre("2 became NaN, 1 became infinite"));
}

TEST(Explain, CountsWhatBecameNonfiniteElementByElement) {
  const float inf = HUGE_VALF, nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(texts(explain(tensor({4}, {inf, 1, 1, 2}), tensor({4}, {1, inf, inf, 3}))),
              ElementsAre("2 became infinite, 1 became finite"));
  EXPECT_THAT(texts(explain(tensor({4}, {inf, 1, 1, 2}), tensor({4}, {1, inf, 4, 3}))),
              ElementsAre("1 became infinite, 1 became finite"));
  EXPECT_THAT(texts(explain(tensor({4}, {inf, inf, nan, nan}), tensor({4}, {-inf, nan, nan, inf}))),
              ElementsAre("1 became NaN, 1 became infinite, 1 became another infinity"));
}

TEST(Explain, SignsOfZerosAloneAreNoNewZeros) {
  const Floats zeros(20, 0.0f), negative(20, -0.0f);
  EXPECT_THAT(explain(tensor({20}, zeros), tensor({20}, negative)), IsEmpty());
  EXPECT_THAT(explain(tensor({20}, zeros), tensor({20}, negative), "running_mean"), IsEmpty());
  Floats one = zeros;
  one[3] = one[5] = 1;
  EXPECT_THAT(texts(explain(tensor({20}, one), tensor({20}, negative))), ElementsAre("all zeros now"));
}

TEST(Explain, NamesOrdersOfTensorsWithNonfiniteElements) {
  for (const float special : {HUGE_VALF, std::numeric_limits<float>::quiet_NaN()}) {
    Floats numbers = gaussian(9 * 4);
    numbers[2] = special;
    Floats moved = numbers;
    std::rotate(moved.begin(), moved.begin() + 4, moved.begin() + 12);
    EXPECT_THAT(texts(explain(tensor({9, 4}, numbers), tensor({9, 4}, moved))),
                ElementsAre("rows permuted, 3 of 9 moved: 0 ← 1, 1 ← 2, 2 ← 0"));
    std::reverse(moved.begin(), moved.begin() + 7);
    EXPECT_THAT(causes(explain(tensor({9, 4}, numbers), tensor({9, 4}, moved))),
                ElementsAre(Cause::rearranged));
    moved[30] += 1;
    EXPECT_THAT(causes(explain(tensor({9, 4}, numbers), tensor({9, 4}, moved))),
                ElementsAre(Cause::nonfinite));
  }
}

TEST(Explain, NamesNewStatisticsOfOneChannel) {
  const auto one = [](float value) { return tensor({1}, {value}); };
  EXPECT_THAT(causes(explain(one(0.3f), one(0), "running_mean")), ElementsAre(Cause::stats_reset));
  EXPECT_THAT(causes(explain(one(0.3f), one(1), "running_var")), ElementsAre(Cause::stats_reset));
  EXPECT_THAT(explain(one(0.3f), one(0), "running_var"), IsEmpty());
  EXPECT_THAT(explain(one(0.3f), one(0.7f), "running_mean"), IsEmpty());
}

TEST(Explain, FindsTranspositionsIntoAnotherType) {
  const Floats numbers = gaussian(6 * 5);
  std::vector<double> turned(30), square(25);
  for (std::size_t i = 0; i < 30; ++i) turned[i % 5 * 6 + i / 5] = static_cast<double>(numbers[i]);
  const auto found = explain_drift(tensor({6, 5}, numbers).view(),
                                   Made(DType::float64, {5, 6}, turned).view(), nullptr, "weight");
  EXPECT_THAT(texts(found), ElementsAre("transposed"));
  for (std::size_t i = 0; i < 25; ++i) square[i % 5 * 5 + i / 5] = static_cast<double>(numbers[i]);
  const Floats part(numbers.begin(), numbers.begin() + 25);
  EXPECT_THAT(texts(explain(tensor({5, 5}, part), Made(DType::float64, {5, 5}, square))),
              ElementsAre("transposed"));
  turned[29] += 1e-12;
  EXPECT_THAT(explain_drift(tensor({6, 5}, numbers).view(), Made(DType::float64, {5, 6}, turned).view(),
                            nullptr, "weight"),
              IsEmpty());
}

TEST(Spectral, FindsTheRatioOfLargestSingularValues) {
  // Rank one: the only singular value is the product of the norms.
  const std::size_t rows = 90, columns = 200;
  Floats before(rows * columns), after;
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j)
      before[i * columns + j] =
          static_cast<float>(std::sin(static_cast<double>(i)) * std::cos(3.0 * static_cast<double>(j)));
  after = before;
  for (float& number : after) number *= 1.25f;
  const auto ratio = [&](Shape shape, const Floats& one, const Floats& other) {
    return spectral_ratio(tensor(shape, one).view(), tensor(shape, other).view(), 1 << 20);
  };
  EXPECT_NEAR(ratio({90, 10, 20}, before, after).value(), 0.25, 1e-4);
  EXPECT_NEAR(ratio({10, 1800}, before, after).value(), 0.25, 1e-4);
  // A random square matrix and one element: σ₁ of the change is the change.
  const Floats noise = gaussian(300 * 300);
  after = noise;
  after[1234] += 5;
  const double one = ratio({300, 300}, noise, after).value();
  EXPECT_NEAR(one, 5 / (0.1 * 2 * std::sqrt(300.0)), 0.05);  // σ₁ of Gaussian noise is near 2√n σ
  EXPECT_EQ(ratio({300, 300}, noise, after), one);
  EXPECT_EQ(ratio({90'000}, noise, after), std::nullopt);
  EXPECT_EQ(ratio({300, 300}, noise, noise), 0.0);
  after[0] = HUGE_VALF;
  EXPECT_EQ(ratio({300, 300}, noise, after), std::nullopt);
  EXPECT_EQ(spectral_ratio(tensor({300, 300}, noise).view(), tensor({300, 300}, after).view(), 1000),
            std::nullopt);
}

TEST(Spectral, KeepsToTheRangeOfDoubles) {
  const Made before(DType::float64, {2, 2}, std::vector<double>{1e300, 0, 0, 1e-300});
  const Made after(DType::float64, {2, 2}, std::vector<double>{2e300, 0, 0, 1e-300});
  EXPECT_NEAR(spectral_ratio(before.view(), after.view(), 100).value(), 1, 1e-6);
}

}  // namespace
}  // namespace ferry::numeric
