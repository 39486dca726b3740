// Runs independent tasks, on one thread or many.  The implementation with threads is in src/parallel;
// libraries that can use threads take an Executor, so that the program decides.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>

namespace ferry {

class Executor {
 public:
  virtual ~Executor() = default;
  virtual std::size_t thread_count() const = 0;
  // Calls task(0) … task(count − 1), started in this order, and returns when all have ended.  When one
  // throws, no new one is started and the exception of the lowest index is thrown again.
  virtual void run(std::size_t count, const std::function<void(std::size_t)>& task) = 0;
};

// All tasks on the calling thread.
class SerialExecutor final : public Executor {
 public:
  std::size_t thread_count() const override { return 1; }
  void run(std::size_t count, const std::function<void(std::size_t)>& task) override {
    for (std::size_t i = 0; i < count; ++i) task(i);
  }
};

// Calls task(begin, end) for ranges that together are [0, count): for many small and independent pieces of
// work.
inline void run_ranges(Executor& executor, std::size_t count,
                       const std::function<void(std::size_t begin, std::size_t end)>& task) {
  constexpr std::size_t kRange = 2048;
  executor.run((count + kRange - 1) / kRange,
               [&](std::size_t i) { task(i * kRange, std::min(count, (i + 1) * kRange)); });
}

}  // namespace ferry
