// A run of bytes of another source, as a source of its own: a checkpoint that lies inside another file.
#pragma once

#include <string>

#include "src/core/bytes.h"

namespace ferry {

class SliceSource final : public ByteSource {
 public:
  // Throws Code::truncated when the range does not lie inside `whole`.
  SliceSource(SourcePtr whole, ByteRange range, std::string name);

  const std::string& name() const override { return name_; }
  std::uint64_t size() const override { return range_.size; }
  void read_at(std::uint64_t offset, std::span<std::byte> out) const override;
  void check_unchanged() const override { whole_->check_unchanged(); }

  const SourcePtr& whole() const { return whole_; }
  std::uint64_t begin() const { return range_.offset; }

 private:
  SourcePtr whole_;
  ByteRange range_;
  std::string name_;
};

}  // namespace ferry
