#include "formats/copy/tasks.h"

#include <algorithm>
#include <array>
#include <utility>

namespace ferry::copy {
namespace {

constexpr std::uint64_t kSmallMost = 1 << 20;  // records up to this size are written in batches

struct Kept {
  std::unique_ptr<std::byte[]> memory;
  std::size_t capacity = 0;
};

// A task uses two buffers at a time, one to read into and one to write from.
std::array<Kept, 2>& kept_buffers() {
  thread_local std::array<Kept, 2> kept;
  return kept;
}

}  // namespace

std::vector<Task> plan_tasks(const Plan& plan, const std::function<bool(const Record&)>& sliceable,
                             std::size_t count) {
  std::vector<Task> tasks;
  for (std::size_t i = 0; i < count;) {
    const Record& record = plan.records[i];
    if (record.size <= kSmallMost) {
      Task task{Task::Kind::batch, i, i, 0, 0, 0};
      for (; i < count && plan.records[i].size <= kSmallMost && task.size < kTaskBytes; ++i)
        task.size += plan.records[i].end - plan.records[i].begin;
      task.last = i;
      tasks.push_back(task);
      continue;
    }
    if (sliceable(record)) {
      for (std::uint64_t offset = 0; offset < record.size; offset += kTaskBytes)
        tasks.push_back({Task::Kind::slice, i, i + 1, static_cast<std::size_t>(offset / kTaskBytes), offset,
                         std::min(kTaskBytes, record.size - offset)});
    } else {
      tasks.push_back({Task::Kind::stream, i, i + 1, 0, 0, record.size});
    }
    ++i;
  }
  return tasks;
}

Buffer::Buffer(std::size_t size) : size_(size) {
  for (Kept& kept : kept_buffers()) {
    if (kept.capacity < size || size == 0) continue;
    memory_ = std::move(kept.memory);
    capacity_ = std::exchange(kept.capacity, 0);
    return;
  }
  capacity_ = std::max<std::size_t>(size, size == 0 ? 0 : static_cast<std::size_t>(kTaskBytes) + (64 << 10));
  memory_ = std::make_unique_for_overwrite<std::byte[]>(capacity_);
}

Buffer::~Buffer() {
  if (memory_ == nullptr) return;
  for (Kept& kept : kept_buffers()) {
    if (kept.capacity >= capacity_) continue;
    kept.memory = std::move(memory_);
    kept.capacity = capacity_;
    return;
  }
}

}  // namespace ferry::copy
