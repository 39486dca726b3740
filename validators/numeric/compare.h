// Comparing many pairs of tensors at the speed of memory, in bounded memory, on any number of threads.
//
// Equal bytes are seen by comparing bytes, block by block; only pairs with a block that differs are measured,
// and then all of their blocks.  Blocks and the order in which their results are joined depend on the tensors
// alone, so results do not depend on the threads.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>

#include "src/core/drift.h"
#include "src/core/executor.h"
#include "validators/numeric/tensor_view.h"

namespace ferry::numeric {

struct TensorPair {
  TensorView before, after;  // of one shape
};

// Pairs to compare.  Each is made when it is asked for: views of 100,000 would take more memory than all else
// that is known of their tensors.
class TensorPairs {
 public:
  using Make = std::function<TensorPair(std::size_t)>;  // from any thread
  TensorPairs(std::size_t count, Make make) : count_(count), make_(std::move(make)) {}
  explicit TensorPairs(std::span<const TensorPair> pairs)  // which outlive this
      : TensorPairs(pairs.size(), [pairs](std::size_t i) { return pairs[i]; }) {}

  std::size_t size() const { return count_; }
  TensorPair operator[](std::size_t i) const { return make_(i); }

 private:
  std::size_t count_;
  Make make_;
};

// Bytes that were read, for those who compute checksums on the way.  Only of pairs that are `in_order` (see
// below); chunk c of a pair holds the bytes [c × kChunkBytes, (c + 1) × kChunkBytes) of the contiguous
// tensor.  The blocks of one chunk come in order, from one thread; each chunk comes exactly once.
struct TapBlock {
  std::size_t pair = 0;
  std::uint64_t chunk = 0;
  Bytes before, after;
  bool equal = false;  // the two are the same bytes
};
using Tap = std::function<void(const TapBlock&)>;

inline constexpr std::uint64_t kChunkBytes = std::uint64_t{4} << 20;

// True when both sides are contiguous and of one type and byte order, without lazy bits: the bytes can be
// compared as they lie in the sources.
bool in_order(const TensorPair& pair);

struct Comparison {
  Drift drift;
  std::string
      why_not;  // not empty: not measured, and why ("its elements overlap …"); then differing is unknown
};
// The result of a pair, once it is there: from any thread, in any order, at most once for a pair.
using Found = std::function<void(std::size_t pair, Comparison)>;

// What is known of a pair before it is measured, and all that there is to know where its bits are equal:
// types and elements.
Drift unmeasured(const TensorPair& pair);

struct MeasureOptions {
  bool equal_pairs = false;  // measured too, for those who want to know of their NaNs
  bool hulls = true;         // false: only equal bits are allowed, and Drift::least_atol is not known
};

// `found` is not called for pairs whose bits are equal.  Work is bounded by the bytes that the views cover,
// not by the shapes that they claim: elements that a stride of 0 repeats on both sides are visited once and
// counted as often as they appear; pairs with other overlaps are compared as bytes where both overlap in the
// same way, and measured while that costs no more than a fixed multiple of the bytes.  `progress` gets the
// bytes of both sides dealt with since the last call, from any thread.  Throws what the sources throw.
void compare_tensors(const TensorPairs& pairs, Executor& executor, const Tap& tap, const Found& found,
                     const std::function<void(std::uint64_t)>& progress, MeasureOptions options = {});

}  // namespace ferry::numeric
