// Two tensors of one shape as one set of axes, and that shape cut into boxes that both can read in long runs.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "validators/numeric/tensor_reader.h"
#include "validators/numeric/tensor_view.h"

namespace ferry::numeric {

// The axes without those of one element and those that repeat the same elements on both sides (stride 0),
// joined where one continues the next on both sides.  Of tensors that have elements.
class JointLayout {
 public:
  JointLayout(const TensorView& before, const TensorView& after);

  std::span<const std::int64_t> shape() const { return shape_; }
  std::uint64_t times() const { return times_; }    // how often each of the visited pairs appears
  std::uint64_t visits() const { return visits_; }  // numel = visits × times
  // The two with these axes; valid while the layout lives.
  TensorView before() const { return view(before_, before_strides_); }
  TensorView after() const { return view(after_, after_strides_); }

  // True while visiting costs no more than a fixed multiple of the bytes that the two cover.
  bool affordable() const;
  // Both take the same places of their bytes, and those lie close together: the bytes can be compared as they
  // lie.
  bool same_places() const;
  std::uint64_t extent_bytes() const;  // of `before`, from the first to behind the last

  // Row-major index, in the whole shape, of an element of a box that is counted in the box's own order.
  std::uint64_t index(const Box& box, std::uint64_t element) const;

 private:
  TensorView view(TensorView of, const std::vector<std::int64_t>& strides) const;

  TensorView before_, after_;
  std::vector<std::int64_t> shape_, before_strides_, after_strides_;
  std::vector<std::uint64_t> logical_;  // row-major strides in the whole shape
  std::uint64_t times_ = 1, visits_ = 1;
};

// Boxes of up to `elements_max` elements that together are the shape, numbered in row-major order.  Half of
// the digits of a box go to the axes that are narrow on one side, half to those of the other.
class BoxPlan {
 public:
  BoxPlan(std::span<const std::int64_t> shape, std::span<const std::int64_t> before_strides,
          std::span<const std::int64_t> after_strides, std::uint64_t elements_max);
  // The same with every box reaching over all of one axis, even where that makes it larger than
  // `elements_max`.
  BoxPlan(std::span<const std::int64_t> shape, std::span<const std::int64_t> before_strides,
          std::span<const std::int64_t> after_strides, std::uint64_t elements_max, std::size_t whole_axis);

  std::uint64_t count() const { return count_; }
  std::uint64_t elements() const { return elements_; }  // of the largest box
  // Moves to a box, which stays until the next call.
  Box box(std::uint64_t number);

 private:
  void grow(std::span<const std::int64_t> strides, std::uint64_t elements_max);
  void even_out();

  std::vector<std::int64_t> shape_, sizes_;  // of the tensor, of a box
  std::vector<std::int64_t> first_, counts_;
  std::uint64_t count_ = 1, elements_ = 1;
};

std::uint64_t box_elements(const Box& box);

}  // namespace ferry::numeric
