#include "src/parallel/weighted.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "src/parallel/thread_executor.h"

namespace ferry::parallel {
namespace {

class Budget {
 public:
  Budget(std::span<const std::size_t> weights, std::size_t capacity)
      : weights_(weights), capacity_(capacity), free_(capacity) {}

  // Waits until the next job fits and takes it; false when none is left.
  bool take(std::size_t& job) {
    std::unique_lock lock(guard_);
    changed_.wait(lock, [&] { return next_ == weights_.size() || weight(next_) <= free_; });
    if (next_ == weights_.size()) return false;
    job = next_++;
    free_ -= weight(job);
    changed_.notify_all();
    return true;
  }

  void give_back(std::size_t job) {
    const std::lock_guard lock(guard_);
    free_ += weight(job);
    changed_.notify_all();
  }

 private:
  std::size_t weight(std::size_t job) const { return std::clamp<std::size_t>(weights_[job], 1, capacity_); }

  const std::span<const std::size_t> weights_;
  const std::size_t capacity_;
  std::mutex guard_;
  std::condition_variable changed_;
  std::size_t next_ = 0;
  std::size_t free_;
};

}  // namespace

void run_weighted(std::span<const std::size_t> weights, std::size_t capacity,
                  const std::function<void(std::size_t)>& work) {
  capacity = std::max<std::size_t>(1, capacity);
  Budget budget(weights, capacity);
  const auto worker = [&](std::size_t) {
    for (std::size_t job = 0; budget.take(job); budget.give_back(job)) work(job);
  };
  const std::size_t workers = std::min(capacity, weights.size());
  ThreadExecutor(workers).run(workers, worker);
}

}  // namespace ferry::parallel
