#include "src/convert/intervals.h"

#include <algorithm>

namespace ferry::convert {
namespace {

std::uint64_t grown_end(std::uint64_t end, std::uint64_t unit, std::uint64_t limit) {
  const std::uint64_t missing = (unit - end % unit) % unit;
  return missing > limit - end ? limit : end + missing;
}

}  // namespace

std::vector<ByteRange> merge_intervals(std::vector<ByteRange> intervals, std::uint64_t unit,
                                       std::uint64_t limit) {
  std::erase_if(intervals, [](const ByteRange& interval) { return interval.size == 0; });
  std::sort(intervals.begin(), intervals.end(),
            [](const ByteRange& a, const ByteRange& b) { return a.offset < b.offset; });
  std::vector<ByteRange> merged;
  for (const ByteRange& interval : intervals) {
    const std::uint64_t begin = interval.offset - interval.offset % unit;
    const std::uint64_t end = grown_end(interval.end(), unit, limit);
    if (!merged.empty() && begin <= merged.back().end())
      merged.back().size = std::max(merged.back().end(), end) - merged.back().offset;
    else
      merged.push_back({begin, end - begin});
  }
  return merged;
}

Kept::Kept(std::vector<ByteRange> ranges) : ranges_(std::move(ranges)) {
  for (const ByteRange& range : ranges_) {
    before_.push_back(size_);
    size_ += range.size;
  }
}

std::uint64_t Kept::moved(std::uint64_t offset) const {
  const auto after =
      std::upper_bound(ranges_.begin(), ranges_.end(), offset,
                       [](std::uint64_t at, const ByteRange& range) { return at < range.offset; });
  if (after == ranges_.begin()) return 0;
  const auto i = static_cast<std::size_t>(after - ranges_.begin()) - 1;
  return before_[i] + (offset - ranges_[i].offset);
}

}  // namespace ferry::convert
