// Slices of a tensor that changed places: found by hashes, proved by comparing them, said in words.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "src/core/drift.h"
#include "validators/numeric/tensor_view.h"

namespace ferry::numeric {

// Sums of hashes of all elements, whatever their order: equal for the same elements, and by chance otherwise
// no more often than once in 2^128.
struct ContentSum {
  std::uint64_t one = 0, two = 0;
  friend bool operator==(const ContentSum&, const ContentSum&) = default;
};
ContentSum content_sum(const TensorView& view);

// Slices along one axis of two tensors of one shape and type that hold the same elements: slice j of `after`
// is slice order[j] of `before`.  Nothing for axes of more than 2^20 slices, and when all are in their
// places.  Reads both twice.
struct SliceOrder {
  std::size_t axis = 0;
  std::vector<std::uint32_t> order;
};
std::optional<SliceOrder> find_slice_order(const TensorView& before, const TensorView& after);

// "rows permuted, 4 blocks of 64: 0 2 1 3", "columns in reverse order", "axis 2 permuted, 2 of 7 moved: 0 ←
// 1, 1 ← 0".
Explanation slice_order_text(const SliceOrder& found, std::size_t rank);

}  // namespace ferry::numeric
