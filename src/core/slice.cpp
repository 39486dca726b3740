#include "src/core/slice.h"

#include <algorithm>
#include <utility>

#include "src/core/checked.h"
#include "src/core/error.h"

namespace ferry {
namespace {

[[noreturn]] void throw_outside(std::uint64_t offset, std::uint64_t size, std::uint64_t limit) {
  throw Error(Code::truncated, std::to_string(size) + " bytes are needed where " +
                                   std::to_string(limit - std::min(offset, limit)) + " are left")
      .at(offset);
}

}  // namespace

SliceSource::SliceSource(SourcePtr whole, ByteRange range, std::string name)
    : whole_(std::move(whole)), range_(range), name_(std::move(name)) {
  if (!fits(range_.offset, range_.size, whole_->size()))
    throw_outside(range_.offset, range_.size, whole_->size());
}

void SliceSource::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  if (!fits(offset, out.size(), range_.size)) throw_outside(offset, out.size(), range_.size);
  whole_->read_at(range_.offset + offset, out);
}

}  // namespace ferry
