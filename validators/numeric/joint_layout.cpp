#include "validators/numeric/joint_layout.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ferry::numeric {
namespace {

constexpr double kWorkPerByte = 16;        // bytes visited for one that is covered
constexpr double kWorkForFree = 64 << 10;  // small windows may overlap as they like

// From the first to behind the last element; inside the source, so nothing wraps.
std::uint64_t extent_of(const TensorView& view) {
  std::uint64_t extent = 1;
  for (std::size_t i = 0; i < view.shape.size(); ++i)
    extent += static_cast<std::uint64_t>(view.shape[i] - 1) * static_cast<std::uint64_t>(view.strides[i]);
  return extent;
}

// Bytes that the view covers, at most.
double covered(const TensorView& view) {
  double elements = 1;
  for (std::size_t i = 0; i < view.shape.size(); ++i)
    if (view.strides[i] != 0) elements *= static_cast<double>(view.shape[i]);
  return std::min(elements, static_cast<double>(extent_of(view))) * info(view.dtype).itemsize;
}

}  // namespace

JointLayout::JointLayout(const TensorView& before, const TensorView& after) : before_(before), after_(after) {
  std::uint64_t logical = 1;
  for (std::size_t i = before.shape.size(); i-- > 0;) {
    const std::int64_t size = before.shape[i], b = before.strides[i], a = after.strides[i];
    if (size == 1) continue;
    const std::uint64_t place = logical;
    logical *= static_cast<std::uint64_t>(size);
    if (b == 0 && a == 0) {
      times_ *= static_cast<std::uint64_t>(size);
      continue;
    }
    visits_ *= static_cast<std::uint64_t>(size);
    const bool continues = !shape_.empty() && b == before_strides_.back() * shape_.back() &&
                           a == after_strides_.back() * shape_.back() &&
                           place == logical_.back() * static_cast<std::uint64_t>(shape_.back());
    if (continues) {
      shape_.back() *= size;
      continue;
    }
    shape_.push_back(size);
    before_strides_.push_back(b);
    after_strides_.push_back(a);
    logical_.push_back(place);
  }
  std::reverse(shape_.begin(), shape_.end());
  std::reverse(before_strides_.begin(), before_strides_.end());
  std::reverse(after_strides_.begin(), after_strides_.end());
  std::reverse(logical_.begin(), logical_.end());
}

TensorView JointLayout::view(TensorView of, const std::vector<std::int64_t>& strides) const {
  of.shape = shape_;
  of.strides = strides;
  return of;
}

bool JointLayout::affordable() const {
  const double work =
      static_cast<double>(visits_) * (info(before_.dtype).itemsize + info(after_.dtype).itemsize);
  return work <= kWorkForFree || work <= kWorkPerByte * (covered(before()) + covered(after()));
}

bool JointLayout::same_places() const {
  return before_.dtype == after_.dtype && before_.big_endian == after_.big_endian &&
         before_.conjugated == after_.conjugated && before_.negated == after_.negated &&
         before_strides_ == after_strides_ && extent_of(before()) <= visits_ + visits_ / 4;
}

std::uint64_t JointLayout::extent_bytes() const { return extent_of(before()) * info(before_.dtype).itemsize; }

std::uint64_t JointLayout::index(const Box& box, std::uint64_t element) const {
  std::uint64_t found = 0;
  for (std::size_t i = shape_.size(); i-- > 0;) {
    const auto count = static_cast<std::uint64_t>(box.count[i]);
    found += (static_cast<std::uint64_t>(box.first[i]) + element % count) * logical_[i];
    element /= count;
  }
  return found;
}

BoxPlan::BoxPlan(std::span<const std::int64_t> shape, std::span<const std::int64_t> before_strides,
                 std::span<const std::int64_t> after_strides, std::uint64_t elements_max)
    : shape_(shape.begin(), shape.end()), sizes_(shape.size(), 1) {
  grow(before_strides, static_cast<std::uint64_t>(std::sqrt(static_cast<double>(elements_max))));
  grow(after_strides, elements_max);
  grow(before_strides, elements_max);
  even_out();
}

BoxPlan::BoxPlan(std::span<const std::int64_t> shape, std::span<const std::int64_t> before_strides,
                 std::span<const std::int64_t> after_strides, std::uint64_t elements_max,
                 std::size_t whole_axis)
    : shape_(shape.begin(), shape.end()), sizes_(shape.size(), 1) {
  sizes_[whole_axis] = shape_[whole_axis];
  grow(before_strides, elements_max);
  grow(after_strides, elements_max);
  even_out();
}

// Takes in the axes of one side, the narrowest first, until a box is full.
void BoxPlan::grow(std::span<const std::int64_t> strides, std::uint64_t elements_max) {
  std::vector<std::size_t> order(shape_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return strides[a] < strides[b]; });
  std::uint64_t elements = 1;
  for (const std::int64_t size : sizes_) elements *= static_cast<std::uint64_t>(size);
  for (const std::size_t axis : order) {
    if (strides[axis] == 0) continue;  // costs this side nothing
    const std::uint64_t others = elements / static_cast<std::uint64_t>(sizes_[axis]);
    const auto most = static_cast<std::int64_t>(elements_max / others);
    sizes_[axis] = std::min(shape_[axis], std::max(most, sizes_[axis]));
    elements = others * static_cast<std::uint64_t>(sizes_[axis]);
    if (sizes_[axis] < shape_[axis]) return;
  }
}

// Boxes of one size rather than large ones and a small rest.
void BoxPlan::even_out() {
  for (std::size_t i = 0; i < shape_.size(); ++i) {
    const std::int64_t pieces = (shape_[i] + sizes_[i] - 1) / sizes_[i];
    sizes_[i] = (shape_[i] + pieces - 1) / pieces;
    count_ *= static_cast<std::uint64_t>((shape_[i] + sizes_[i] - 1) / sizes_[i]);
    elements_ *= static_cast<std::uint64_t>(sizes_[i]);
  }
  first_.resize(shape_.size());
  counts_.resize(shape_.size());
}

Box BoxPlan::box(std::uint64_t number) {
  for (std::size_t i = shape_.size(); i-- > 0;) {
    const auto pieces = static_cast<std::uint64_t>((shape_[i] + sizes_[i] - 1) / sizes_[i]);
    first_[i] = static_cast<std::int64_t>(number % pieces) * sizes_[i];
    counts_[i] = std::min(sizes_[i], shape_[i] - first_[i]);
    number /= pieces;
  }
  return {first_, counts_};
}

std::uint64_t box_elements(const Box& box) {
  std::uint64_t elements = 1;
  for (const std::int64_t size : box.count) elements *= static_cast<std::uint64_t>(size);
  return elements;
}

}  // namespace ferry::numeric
