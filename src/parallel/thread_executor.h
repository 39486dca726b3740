// An executor with threads.
#pragma once

#include "src/core/executor.h"

namespace ferry::parallel {

// Up to `thread_count` threads, the calling one among them.  They are started by run() and gone when it
// returns: tasks are megabytes, a thread is microseconds.  Where the system gives fewer threads, the work is
// done by fewer.
class ThreadExecutor final : public Executor {
 public:
  explicit ThreadExecutor(std::size_t thread_count) : thread_count_(thread_count == 0 ? 1 : thread_count) {}
  std::size_t thread_count() const override { return thread_count_; }
  void run(std::size_t count, const std::function<void(std::size_t)>& task) override;

 private:
  std::size_t thread_count_;
};

// The processors that this process may use: affinity masks and cgroup quotas count.
std::size_t usable_processors();

}  // namespace ferry::parallel
