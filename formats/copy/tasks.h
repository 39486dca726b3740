// The work of writing or verifying a file, cut into pieces of a few megabytes that threads can share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "formats/copy/copy.h"

namespace ferry::copy {

inline constexpr std::uint64_t kTaskBytes = 4 << 20;

struct Task {
  enum class Kind : std::uint8_t {
    batch,   // records first … last − 1, all small
    slice,   // bytes [offset, offset + size) of record `first`
    stream,  // record `first`, which can only be read from front to back
  };
  Kind kind = Kind::batch;
  std::size_t first = 0, last = 0;
  std::size_t slice = 0;  // number of the slice; all but the last have kTaskBytes
  std::uint64_t offset = 0, size = 0;
};

// Tasks for the first `count` records of a plan, in the order of the file; `sliceable` says which large
// records may be cut.
std::vector<Task> plan_tasks(const Plan& plan, const std::function<bool(const Record&)>& sliceable,
                             std::size_t count);

// Memory that is not cleared first and kept for the next buffer of the same thread: the pages stay warm.
class Buffer {
 public:
  explicit Buffer(std::size_t size);
  ~Buffer();
  Buffer(Buffer&& other) noexcept
      : memory_(std::move(other.memory_)),
        capacity_(std::exchange(other.capacity_, 0)),
        size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&&) = delete;
  std::span<std::byte> span() const { return {memory_.get(), size_}; }

 private:
  std::unique_ptr<std::byte[]> memory_;
  std::size_t capacity_ = 0, size_ = 0;
};

}  // namespace ferry::copy
