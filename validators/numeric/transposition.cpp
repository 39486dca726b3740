#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "validators/numeric/explain.h"
#include "validators/numeric/joint_layout.h"
#include "validators/numeric/measure_block.h"
#include "validators/numeric/numbers.h"
#include "validators/numeric/tensor_reader.h"

namespace ferry::numeric {
namespace {

constexpr std::size_t kRankMax = 5;     // 120 orders
constexpr std::uint64_t kSamples = 32;  // elements that are tried before all are
constexpr std::uint64_t kTranspositionBoxElements = 64 << 10;

// A view with its axes in another order.
struct Turned {
  std::array<std::int64_t, kRankMax> shape{}, strides{};

  TensorView view(const TensorView& of, std::span<const std::size_t> order) {
    for (std::size_t i = 0; i < order.size(); ++i) {
      shape[i] = of.shape[order[i]];
      strides[i] = of.strides[order[i]];
    }
    TensorView turned = of;
    turned.shape = std::span(shape).first(order.size());
    turned.strides = std::span(strides).first(order.size());
    return turned;
  }
};

// Axes of one element may be anywhere.
bool keeps_places(const TensorView& view, std::span<const std::size_t> order) {
  std::size_t last = 0;
  for (const std::size_t axis : order) {
    if (view.shape[axis] == 1) continue;
    if (axis < last) return false;
    last = axis;
  }
  return true;
}

// Of one type the same bits; of two, the same numbers, signs of zeros included.
bool same_numbers(DType dtype, Bytes bytes, DType other, Bytes others) {
  if (dtype == other) return std::ranges::equal(bytes, others);
  const NumberFormat &x = format_of(dtype), &y = format_of(other);
  const std::size_t count = bytes.size() / x.component_bytes;
  for (std::size_t i = 0; i < count; ++i) {
    const long double a = decode_component(x, load_bits(&bytes[i * x.component_bytes], x.component_bytes));
    const long double b = decode_component(y, load_bits(&others[i * y.component_bytes], y.component_bytes));
    const bool same = std::isnan(a) ? std::isnan(b) : a == b && std::signbit(a) == std::signbit(b);
    if (!same) return false;
  }
  return true;
}

bool comparable(DType dtype, DType other) {
  const NumberFormat &x = format_of(dtype), &y = format_of(other);
  return dtype == other || (is_numeric(dtype) && is_numeric(other) && x.components == y.components);
}

using Element = std::array<std::byte, 16>;

Element element_at(const TensorView& view, std::uint64_t index) {
  Element element{};
  read_elements(view, index, 1, std::span(element).first(info(view.dtype).itemsize));
  return element;
}

// Some elements here and there, and the last.
class Samples {
 public:
  explicit Samples(const TensorView& view) : dtype_(view.dtype), count_(view.numel()) {
    for (std::uint64_t i = 0; i < std::min(kSamples, count_); ++i) elements_[i] = element_at(view, index(i));
  }
  bool fit(const TensorView& view) const {
    for (std::uint64_t i = 0; i < std::min(kSamples, count_); ++i) {
      const Element element = element_at(view, index(i));
      if (!same_numbers(view.dtype, std::span(element).first(info(view.dtype).itemsize), dtype_,
                        std::span(elements_[i]).first(info(dtype_).itemsize)))
        return false;
    }
    return true;
  }

 private:
  std::uint64_t index(std::uint64_t i) const {
    return count_ <= kSamples ? i : (count_ - 1 - i * 0x9e3779b97f4a7c15ULL % count_);
  }
  DType dtype_;
  std::uint64_t count_;
  std::array<Element, kSamples> elements_{};
};

bool same_elements(const TensorView& before, const TensorView& after) {
  const JointLayout layout(before, after);
  if (!layout.affordable()) return false;
  const TensorView one = layout.before(), other = layout.after();
  BoxPlan boxes(layout.shape(), one.strides, other.strides, kTranspositionBoxElements);
  std::vector<std::byte> bytes, other_bytes;
  for (std::uint64_t i = 0; i < boxes.count(); ++i) {
    const Box box = boxes.box(i);
    bytes.resize(box_elements(box) * info(before.dtype).itemsize);
    other_bytes.resize(box_elements(box) * info(after.dtype).itemsize);
    read_box(one, box, bytes);
    read_box(other, box, other_bytes);
    if (!same_numbers(before.dtype, bytes, after.dtype, other_bytes)) return false;
  }
  return true;
}

}  // namespace

std::optional<std::vector<std::size_t>> find_transposition(const TensorView& before,
                                                           const TensorView& after) {
  const std::size_t rank = before.shape.size();
  if (!comparable(before.dtype, after.dtype) || rank != after.shape.size() || rank < 2 || rank > kRankMax)
    return std::nullopt;
  if (before.numel() == 0 ||
      !std::is_permutation(before.shape.begin(), before.shape.end(), after.shape.begin()))
    return std::nullopt;
  const bool one_shape = std::equal(before.shape.begin(), before.shape.end(), after.shape.begin());
  const Samples samples(after);
  std::vector<std::size_t> order(rank);
  std::iota(order.begin(), order.end(), std::size_t{0});
  while (std::next_permutation(order.begin(), order.end())) {
    Turned turned;
    const TensorView view = turned.view(before, order);
    if (!std::equal(view.shape.begin(), view.shape.end(), after.shape.begin())) continue;
    if (one_shape && keeps_places(before, order)) continue;
    if (samples.fit(view) && same_elements(view, after)) return order;
  }
  return std::nullopt;
}

}  // namespace ferry::numeric
