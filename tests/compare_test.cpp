// Reading tensors in any layout and comparing many pairs, against loops that do it one element at a time.
#include "validators/numeric/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <mutex>
#include <numeric>
#include <sstream>

#include "src/core/error.h"
#include "src/parallel/thread_executor.h"
#include "validators/numeric/measure_block.h"
#include "validators/numeric/tensor_reader.h"

namespace ferry::numeric {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A tensor that owns what its view points to.
struct Made {
  std::vector<std::int64_t> shape, strides;
  std::shared_ptr<MemorySource> source;
  TensorView layout;

  TensorView view() const {
    TensorView made = layout;
    made.source = source.get();
    made.shape = shape;
    made.strides = strides;
    return made;
  }
};

std::vector<std::int64_t> row_major(const std::vector<std::int64_t>& shape) {
  std::vector<std::int64_t> strides(shape.size());
  std::int64_t stride = 1;
  for (std::size_t i = shape.size(); i-- > 0; stride *= shape[i]) strides[i] = stride;
  return strides;
}

Made make(DType dtype, std::vector<std::int64_t> shape, std::vector<std::int64_t> strides,
          std::vector<std::byte> bytes, std::uint64_t offset = 0) {
  Made made{std::move(shape), std::move(strides), nullptr, {}};
  made.source = std::make_shared<MemorySource>("memory", std::move(bytes));
  made.layout.dtype = dtype;
  made.layout.offset = offset;
  return made;
}

Made floats(std::vector<std::int64_t> shape, const std::vector<float>& numbers) {
  std::vector<std::byte> bytes(numbers.size() * sizeof(float));
  if (!bytes.empty()) std::memcpy(bytes.data(), numbers.data(), bytes.size());
  auto strides = row_major(shape);
  return make(DType::float32, std::move(shape), std::move(strides), std::move(bytes));
}

std::vector<float> waves(std::size_t count) {
  std::vector<float> numbers(count);
  for (std::size_t i = 0; i < count; ++i) numbers[i] = std::sin(static_cast<float>(i));
  return numbers;
}

// One element at a time, as the contracts say it.
std::vector<std::byte> naive_elements(const TensorView& view) {
  const DTypeInfo& type = info(view.dtype);
  std::vector<std::byte> out;
  for (std::uint64_t i = 0; i < view.numel(); ++i) {
    std::uint64_t rest = i, at = 0;
    for (std::size_t axis = view.shape.size(); axis-- > 0;) {
      const auto size = static_cast<std::uint64_t>(view.shape[axis]);
      at += rest % size * static_cast<std::uint64_t>(view.strides[axis]);
      rest /= size;
    }
    auto element = view.source->read({view.offset + at * type.itemsize, type.itemsize});
    for (std::size_t part = 0; part < type.itemsize; part += type.swap_unit) {
      const auto first = element.begin() + static_cast<std::ptrdiff_t>(part);
      if (view.big_endian) std::reverse(first, first + type.swap_unit);
      const bool flips = view.negated != (view.conjugated && part > 0);
      if (flips) element[part + type.swap_unit - 1] ^= std::byte{0x80};
    }
    out.insert(out.end(), element.begin(), element.end());
  }
  return out;
}

constexpr std::array kTypes = {DType::float32, DType::float64, DType::float16,   DType::bfloat16,
                               DType::uint8,   DType::int64,   DType::complex64, DType::complex128};

// Axes in any order, gaps, repeated elements, an offset, either byte order.
Made arbitrary_layout(DType dtype, const std::vector<std::int64_t>& shape, std::uint32_t noise) {
  const std::size_t itemsize = info(dtype).itemsize;
  std::vector<std::size_t> order(shape.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[*rc::gen::inRange<std::size_t>(0, i)]);
  std::vector<std::int64_t> strides(shape.size());
  std::int64_t stride = *rc::gen::element(1, 1, 1, 3), extent = 1;
  for (const std::size_t axis : order) {
    strides[axis] = *rc::gen::inRange(0, 6) == 0 ? 0 : stride;
    extent += (shape[axis] - 1) * strides[axis];
    if (strides[axis] != 0) stride = stride * shape[axis] + *rc::gen::element(0, 0, 0, 1, 700);
  }
  const std::uint64_t offset = *rc::gen::inRange(0u, 3u) * itemsize;
  std::vector<std::byte> bytes(offset + static_cast<std::size_t>(extent) * itemsize);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>((i * 37 + i / 253) % 251);
  for (; noise > 0; --noise) bytes[*rc::gen::inRange<std::size_t>(0, bytes.size())] ^= std::byte{0x10};
  Made made = make(dtype, shape, std::move(strides), std::move(bytes), offset);
  made.layout.big_endian = *rc::gen::inRange(0, 4) == 0;
  return made;
}

std::vector<std::int64_t> arbitrary_shape() {
  std::vector<std::int64_t> shape(*rc::gen::inRange<std::size_t>(0, 5));
  for (auto& size : shape) size = *rc::gen::element<std::int64_t>(1, 2, 3, 4, 7, 40);
  while (std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>()) > 30'000)
    shape.pop_back();
  return shape;
}

std::string text_of(const Drift& drift) {
  std::ostringstream out;
  out << std::hexfloat << info(drift.before).name << ' ' << info(drift.after).name;
  for (const std::uint64_t count :
       {drift.elements, drift.bits_differing, drift.bits_flipped, drift.differing, drift.zero_signs,
        drift.nans_before, drift.nans_after, drift.infinities_before, drift.infinities_after, drift.nans_both,
        drift.nan_payloads, drift.nonfinite_mismatches, drift.finite, drift.max_ulp.whole})
    out << ' ' << count;
  for (std::size_t bin = 0; bin < kUlpBins; ++bin) out << ',' << drift.ulps[bin];
  out << ' ' << drift.max_abs << ' ' << drift.max_rel << ' ' << drift.max_ulp.fraction;
  if (drift.worst)
    out << " worst " << drift.worst->element << ' ' << drift.worst->before.bits << ' '
        << drift.worst->after.bits;
  return out.str();
}

std::string sums_of(const Drift& drift) {
  std::ostringstream out;
  out << std::hexfloat << drift.difference_squares << ' ' << drift.before_squares << ' '
      << drift.after_squares << ' ' << drift.products << ' ' << drift.difference_sum;
  for (const HullPoint& point : drift.hull) out << ' ' << point.before << ':' << point.difference;
  return out.str();
}

void expect_near(long double a, long double b) {
  if (!std::isfinite(a) || !std::isfinite(b)) return;
  EXPECT_NEAR(static_cast<double>(a / (std::abs(b) + 1e-300L)),
              static_cast<double>(b / (std::abs(b) + 1e-300L)), 1e-9);
}

Drift naive_drift(const TensorPair& pair) {
  Drift drift;
  drift.before = pair.before.dtype;
  drift.after = pair.after.dtype;
  const auto before = naive_elements(pair.before), after = naive_elements(pair.after);
  measure_block(before, after, 0, drift);
  if (!drift.bits_equal()) return drift;
  Drift equal;
  equal.before = equal.after = drift.before;
  equal.elements = drift.elements;
  return equal;
}

std::vector<Comparison> compare(const std::vector<TensorPair>& pairs, std::size_t threads = 1,
                                const Tap& tap = {}) {
  parallel::ThreadExecutor executor(threads);
  std::vector<Comparison> results;
  for (const TensorPair& pair : pairs) results.push_back({unmeasured(pair), ""});
  compare_tensors(TensorPairs(pairs), executor, tap,
                  [&](std::size_t i, Comparison found) { results[i] = std::move(found); }, {});
  return results;
}

TEST(TensorReader, ReadsAnyLayoutAsALoopDoes) {
  EXPECT_TRUE(rc::check([] {
    Made made = arbitrary_layout(*rc::gen::elementOf(kTypes), arbitrary_shape(), 0);
    const bool complex = made.layout.dtype == DType::complex64 || made.layout.dtype == DType::complex128;
    made.layout.conjugated = complex && *rc::gen::arbitrary<bool>();
    made.layout.negated =
        made.layout.dtype != DType::uint8 && made.layout.dtype != DType::int64 && *rc::gen::arbitrary<bool>();
    const TensorView view = made.view();
    const auto expected = naive_elements(view);
    const std::size_t itemsize = info(view.dtype).itemsize;
    const auto first = *rc::gen::inRange<std::uint64_t>(0, view.numel());
    const auto count = *rc::gen::inRange<std::uint64_t>(0, view.numel() - first + 1);
    std::vector<std::byte> out(count * itemsize);
    read_elements(view, first, count, out);
    RC_ASSERT(
        std::equal(out.begin(), out.end(), expected.begin() + static_cast<std::ptrdiff_t>(first * itemsize)));
    const std::vector<std::int64_t> zeros(view.shape.size());
    out.resize(expected.size());
    read_box(view, {zeros, view.shape}, out);
    RC_ASSERT(out == expected);
  }));
}

TEST(TensorReader, NegatesIntegersAsNumbers) {
  Made made = make(DType::int16, {3}, {1},
                   {std::byte{1}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0x80}});
  made.layout.negated = true;
  std::array<std::int16_t, 3> out{};
  read_elements(made.view(), 0, 3, std::as_writable_bytes(std::span(out)));
  EXPECT_THAT(out, ::testing::ElementsAre(-1, 0, INT16_MIN));
}

// Counts reads and the bytes in them.
class CountingSource final : public ByteSource {
 public:
  explicit CountingSource(std::shared_ptr<MemorySource> source) : source_(std::move(source)) {}
  const std::string& name() const override { return source_->name(); }
  std::uint64_t size() const override { return source_->size(); }
  void read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    ++reads;
    bytes += out.size();
    source_->read_at(offset, out);
  }
  mutable std::uint64_t reads = 0, bytes = 0;

 private:
  std::shared_ptr<MemorySource> source_;
};

TEST(TensorReader, ReadsATransposedTensorOnceAndInRuns) {
  const auto numbers = waves(1000 * 1024);
  const Made rows = floats({1000, 1024}, numbers), columns = [&] {
    std::vector<float> turned(numbers.size());
    for (std::size_t i = 0; i < 1000; ++i)
      for (std::size_t j = 0; j < 1024; ++j) turned[j * 1000 + i] = numbers[i * 1024 + j];
    Made made = floats({1024, 1000}, turned);
    made.shape = {1000, 1024};
    made.strides = {1, 1000};
    return made;
  }();
  const CountingSource before(rows.source), after(columns.source);
  TensorPair pair{rows.view(), columns.view()};
  pair.before.source = &before;
  pair.after.source = &after;
  const auto results = compare({pair});
  EXPECT_EQ(results[0].drift.bits_differing, 0u);
  EXPECT_LE(before.bytes + after.bytes, 2 * 3 * numbers.size() * sizeof(float));
  EXPECT_LE(before.reads + after.reads, 8'000u);
}

TEST(Compare, MeasuresAnyTwoLayoutsAsALoopDoes) {
  EXPECT_TRUE(rc::check([] {
    const auto shape = arbitrary_shape();
    const DType dtype = *rc::gen::elementOf(kTypes);
    std::vector<Made> made;
    std::vector<TensorPair> pairs;
    made.push_back(arbitrary_layout(dtype, shape, *rc::gen::element(0u, 1u, 9u)));
    made.push_back(*rc::gen::arbitrary<bool>() ? made[0] : arbitrary_layout(dtype, shape, 0));
    if (made[1].source == made[0].source && *rc::gen::arbitrary<bool>()) {  // the same layout, one bit apart
      auto bytes = std::vector<std::byte>(made[0].source->bytes().begin(), made[0].source->bytes().end());
      bytes[*rc::gen::inRange<std::size_t>(0, bytes.size())] ^= std::byte{2};
      made[1].source = std::make_shared<MemorySource>("memory", bytes);
    }
    pairs.push_back({made[0].view(), made[1].view()});
    const auto result = compare(pairs);
    if (!result[0].why_not.empty()) return;  // overlaps too much
    const Drift expected = naive_drift(pairs[0]);
    RC_ASSERT(text_of(result[0].drift) == text_of(expected));
    expect_near(result[0].drift.difference_squares, expected.difference_squares);
    expect_near(result[0].drift.products, expected.products);
    RC_ASSERT(!::testing::Test::HasNonfatalFailure());
  }));
}

TEST(Compare, MeasuresTwoTypes) {
  const Made before = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  const std::array<double, 6> wide = {1, 2, 3, 4, 5, 6.5};
  std::vector<std::byte> bytes(sizeof wide);
  std::memcpy(bytes.data(), wide.data(), sizeof wide);
  const Made after = make(DType::float64, {2, 3}, {3, 1}, bytes);
  const auto result = compare({{before.view(), after.view()}, {after.view(), after.view()}});
  EXPECT_EQ(result[0].drift.differing, 1u);
  EXPECT_EQ(result[0].drift.worst->element, 5u);
  EXPECT_EQ(result[1].drift.finite, 0u);  // equal: nothing was measured
  EXPECT_EQ(result[1].drift.elements, 6u);
}

TEST(Compare, DoesNotDependOnThreads) {
  std::vector<Made> made;
  std::vector<TensorPair> pairs;
  for (int i = 0; i < 12; ++i) {
    auto numbers = waves(static_cast<std::size_t>(50 + i * i * 10'000));
    const auto size = static_cast<std::int64_t>(numbers.size());
    made.push_back(floats({size}, numbers));
    if (i % 3 != 0)
      for (std::size_t k = 0; k < numbers.size(); k += static_cast<std::size_t>(1) << (2 * i))
        numbers[k] *= 1.01f;
    made.push_back(floats({size}, numbers));
    if (i % 4 == 1) {  // not contiguous
      for (Made* one : {&made[made.size() - 2], &made.back()}) {
        one->shape = {5, size / 10, 2};
        one->strides = {2, 10, 1};
      }
    }
  }
  for (std::size_t i = 0; i < made.size(); i += 2) pairs.push_back({made[i].view(), made[i + 1].view()});
  const auto one = compare(pairs, 1), two = compare(pairs, 2), five = compare(pairs, 5);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    for (const auto* other : {&two[i].drift, &five[i].drift}) {
      EXPECT_EQ(text_of(one[i].drift), text_of(*other)) << i;
      EXPECT_EQ(sums_of(one[i].drift), sums_of(*other)) << i;
    }
    EXPECT_EQ(text_of(one[i].drift), text_of(naive_drift(pairs[i]))) << i;
  }
}

TEST(Compare, OfEqualDifferencesTheFirstIsTheWorst) {
  // In memory order the last row comes first.
  std::vector<float> numbers(600 * 700);
  Made before = floats({600, 700}, numbers);
  before.strides = {1, 600};
  for (const std::size_t at : {599u, 650u * 600u + 3u, 40u * 600u + 3u}) numbers[at] = 2;
  Made after = floats({600, 700}, numbers);
  after.strides = {1, 600};
  const auto result = compare({{before.view(), after.view()}});
  EXPECT_EQ(result[0].drift.worst->element, 3u * 700 + 40);
}

TEST(Compare, TapsEveryChunkOnceAndInOrder) {
  auto numbers = waves(2'500'000);
  const auto size = static_cast<std::int64_t>(numbers.size());
  std::vector<Made> made{floats({size}, numbers), floats({0}, {})};
  numbers[1'500'000] = 7;
  made.push_back(floats({size}, numbers));
  for (int i = 0; i < 300; ++i) made.push_back(floats({40}, waves(40)));
  std::vector<TensorPair> pairs{
      {made[0].view(), made[2].view()}, {made[1].view(), made[1].view()}, {made[0].view(), made[0].view()}};
  for (std::size_t i = 3; i < made.size(); ++i) pairs.push_back({made[i].view(), made[3].view()});

  struct Seen {
    std::vector<std::byte> before, after;
    bool equal = true;
  };
  std::map<std::pair<std::size_t, std::uint64_t>, Seen> chunks;
  std::mutex guard;
  compare(pairs, 3, [&](const TapBlock& block) {
    const std::lock_guard lock(guard);
    Seen& seen = chunks[{block.pair, block.chunk}];
    seen.before.insert(seen.before.end(), block.before.begin(), block.before.end());
    seen.after.insert(seen.after.end(), block.after.begin(), block.after.end());
    seen.equal = seen.equal && block.equal;
  });
  EXPECT_EQ(chunks.size(), 3u + 3u + 300u);
  for (const auto& [key, seen] : chunks) {
    const auto expect = [chunk = key.second](const TensorView& view, const std::vector<std::byte>& bytes) {
      const std::uint64_t first = chunk * kChunkBytes;
      EXPECT_EQ(bytes, view.source->read({first, std::min(kChunkBytes, view.size_bytes() - first)}));
    };
    expect(pairs[key.first].before, seen.before);
    expect(pairs[key.first].after, seen.after);
    EXPECT_EQ(seen.equal, key != std::pair(std::size_t{0}, std::uint64_t{1}));
  }
}

TEST(Compare, CountsRepeatedElementsAsOftenAsTheyAppear) {
  Made before = floats({3}, {1, 2, 3}), after = floats({3}, {1, 2, 5});
  for (Made* one : {&before, &after}) {
    one->shape = {4, 3, 2};
    one->strides = {0, 1, 0};
  }
  const Drift drift = compare({{before.view(), after.view()}})[0].drift;
  EXPECT_EQ(drift.elements, 24u);
  EXPECT_EQ(drift.differing, 8u);
  EXPECT_EQ(drift.worst->element, 4u);
  EXPECT_EQ(static_cast<double>(drift.difference_squares), 32);
}

// Claims of 2^50 elements over a few bytes must cost what the bytes cost: otherwise this would not end.
TEST(Compare, DoesNotVisitWhatIsOnlyClaimed) {
  const auto numbers = waves(256);
  auto other = numbers;
  other[17] = 1;
  const std::int64_t half = std::int64_t{1} << 25;
  Made expanded = floats({256}, numbers), expanded_other = floats({256}, other);
  Made overlapping = expanded, overlapping_other = expanded_other, turned = expanded;
  for (Made* one : {&expanded, &expanded_other}) {
    one->shape = {half, half};
    one->strides = {0, 0};
  }
  for (Made* one : {&overlapping, &overlapping_other}) {
    one->shape.assign(50, 2);
    one->strides.assign(50, 5);
  }
  turned.shape.assign(50, 2);
  turned.strides.assign(50, 5);
  turned.strides[3] = 0;
  const auto result = compare({{expanded.view(), expanded_other.view()},
                               {overlapping.view(), overlapping.view()},
                               {overlapping.view(), overlapping_other.view()},
                               {overlapping.view(), turned.view()}});
  EXPECT_EQ(result[0].drift.bits_differing, 0u);
  EXPECT_EQ(result[0].drift.elements, std::uint64_t{1} << 50);
  EXPECT_EQ(result[1].drift.bits_differing, 0u);
  EXPECT_THAT(result[1].why_not, IsEmpty());
  EXPECT_THAT(result[2].why_not, HasSubstr("overlap"));
  EXPECT_THAT(result[3].why_not, HasSubstr("overlap"));
}

TEST(Compare, ReportsAllBytesAsProgress) {
  const Made large = floats({2'000'000}, waves(2'000'000)), small = floats({7}, waves(7));
  Made turned = floats({100, 70}, waves(7000));
  turned.shape = {70, 100};
  turned.strides = {1, 70};
  std::uint64_t bytes = 0;
  SerialExecutor executor;
  const std::vector<TensorPair> pairs{
      {large.view(), large.view()}, {small.view(), small.view()}, {turned.view(), turned.view()}};
  compare_tensors(
      TensorPairs(pairs), executor, {},
      [](std::size_t, const Comparison&) { ADD_FAILURE() << "all are equal"; },
      [&](std::uint64_t more) { bytes += more; });
  EXPECT_EQ(bytes, 2 * 4 * (2'000'000u + 7u + 7000u));
}

TEST(Compare, MeasuresTheSameWithoutHulls) {
  std::vector<float> changed = waves(300'000);
  for (std::size_t i = 0; i < changed.size(); i += 7) changed[i] *= 1.001f;
  std::vector<float> infinite = changed;
  infinite[5] = std::numeric_limits<float>::infinity();
  Made before = floats({300, 1000}, waves(300'000)), after = floats({300, 1000}, changed);
  Made strange = floats({300, 1000}, infinite), turned = floats({300, 1000}, changed);
  turned.strides = {1, 300};
  SerialExecutor executor;
  for (const Made* const other : {&after, &strange, &turned}) {
    const std::vector<TensorPair> pairs{{before.view(), other->view()}};
    const auto drift_with = [&](MeasureOptions options) {
      Drift found;
      compare_tensors(
          TensorPairs(pairs), executor, {},
          [&](std::size_t, Comparison one) { found = std::move(one.drift); }, {}, options);
      return found;
    };
    const Drift with = drift_with({}), without = drift_with({.hulls = false});
    EXPECT_FALSE(with.hull.empty());
    EXPECT_TRUE(without.hull.empty());
    EXPECT_EQ(without.differing, with.differing);
    EXPECT_EQ(without.max_abs, with.max_abs);
    EXPECT_EQ(without.nonfinite_mismatches, with.nonfinite_mismatches);
    EXPECT_EQ(without.difference_squares, with.difference_squares);
    EXPECT_TRUE(without.ulps == with.ulps);
  }
}

TEST(Compare, PassesOnWhatASourceThrows) {
  Made made = floats({100'000}, waves(100'000));
  TensorPair pair{made.view(), made.view()};
  pair.after.offset = 4;  // the last element lies behind the end
  EXPECT_THROW(compare({pair}, 3), Error);
}

}  // namespace
}  // namespace ferry::numeric
