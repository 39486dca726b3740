#include "src/parallel/thread_executor.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <exception>
#include <fstream>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace ferry::parallel {
namespace {

// One run: tasks are taken in order by a counter; the failure with the lowest index is kept.
class Run {
 public:
  Run(std::size_t count, const std::function<void(std::size_t)>& task) : count_(count), task_(task) {}

  void work() noexcept {
    while (!stopped_.load(std::memory_order_relaxed)) {
      const std::size_t i = next_.fetch_add(1, std::memory_order_relaxed);
      if (i >= count_) return;
      try {
        task_(i);
      } catch (...) {
        note_failure(i);
      }
    }
  }

  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void note_failure(std::size_t i) {
    stopped_ = true;
    const std::lock_guard lock(guard_);
    if (failure_ && failed_at_ < i) return;
    failed_at_ = i;
    failure_ = std::current_exception();
  }

  const std::size_t count_;
  const std::function<void(std::size_t)>& task_;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<bool> stopped_ = false;
  std::mutex guard_;
  std::size_t failed_at_ = 0;
  std::exception_ptr failure_;
};

// cgroup v2: "max 100000" or "150000 100000", microseconds of processor time in each period.
std::size_t cgroup_quota() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return SIZE_MAX;
  const double share = std::strtod(quota.c_str(), nullptr) / period;
  return share > 0 ? static_cast<std::size_t>(std::ceil(share)) : SIZE_MAX;
}

}  // namespace

void ThreadExecutor::run(std::size_t count, const std::function<void(std::size_t)>& task) {
  Run run(count, task);
  {
    std::vector<std::jthread> others;
    const std::size_t wanted = std::min(thread_count_, count);
    others.reserve(wanted);
    try {
      for (std::size_t i = 1; i < wanted; ++i) others.emplace_back([&run] { run.work(); });
    } catch (const std::system_error&) {
      // No more threads are to be had; those that started, or this one alone, do all of it.
    }
    run.work();
  }
  run.rethrow();
}

std::size_t usable_processors() {
  cpu_set_t set;
  const bool known = ::sched_getaffinity(0, sizeof set, &set) == 0;
  const std::size_t allowed =
      known ? static_cast<std::size_t>(CPU_COUNT(&set)) : std::thread::hardware_concurrency();
  return std::max<std::size_t>(1, std::min(allowed, cgroup_quota()));
}

}  // namespace ferry::parallel
