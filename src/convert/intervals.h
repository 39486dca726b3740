// Half-open intervals of bytes: which parts of a storage its tensors refer to, and where those go when the
// rest is dropped.  Arithmetic only; nothing here knows a checkpoint.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "src/core/bytes.h"

namespace ferry::convert {

// The union of intervals: sorted, apart from each other, each grown to whole multiples of `unit` and cut at
// `limit`. Intervals that overlap or touch become one; empty ones vanish.  Every interval must end at or
// before `limit`.
std::vector<ByteRange> merge_intervals(std::vector<ByteRange> intervals, std::uint64_t unit,
                                       std::uint64_t limit);

// What is left of a storage: ranges that merge_intervals gave, one after the other.
class Kept {
 public:
  explicit Kept(std::vector<ByteRange> ranges);
  const std::vector<ByteRange>& ranges() const { return ranges_; }
  std::uint64_t size() const { return size_; }
  // Where the byte at `offset` of the whole lies in what is left; it must lie in one of the ranges.
  std::uint64_t moved(std::uint64_t offset) const;

 private:
  std::vector<ByteRange> ranges_;
  std::vector<std::uint64_t> before_;  // bytes kept before each range
  std::uint64_t size_ = 0;
};

}  // namespace ferry::convert
