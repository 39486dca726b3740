#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "src/parallel/thread_executor.h"
#include "src/parallel/weighted.h"

namespace ferry::parallel {
namespace {

TEST(ThreadExecutor, RunsEveryTaskOnce) {
  for (const std::size_t threads : {1u, 2u, 8u}) {
    std::vector<std::atomic<int>> runs(1000);
    ThreadExecutor(threads).run(runs.size(), [&](std::size_t i) { ++runs[i]; });
    EXPECT_TRUE(std::all_of(runs.begin(), runs.end(), [](const auto& n) { return n == 1; }))
        << threads << " threads";
  }
}

TEST(ThreadExecutor, HasAtLeastOneThread) {
  EXPECT_EQ(ThreadExecutor(0).thread_count(), 1u);
  EXPECT_EQ(ThreadExecutor(3).thread_count(), 3u);
  EXPECT_GE(usable_processors(), 1u);
}

TEST(ThreadExecutor, RunsNothingForNoTasks) {
  ThreadExecutor(4).run(0, [](std::size_t) { FAIL(); });
}

TEST(ThreadExecutor, LetsTheCallingThreadTakePart) {
  std::set<std::thread::id> workers;
  ThreadExecutor(1).run(10, [&](std::size_t) { workers.insert(std::this_thread::get_id()); });
  EXPECT_EQ(workers, std::set{std::this_thread::get_id()});
}

TEST(ThreadExecutor, StartsTasksInOrder) {
  std::vector<std::size_t> order;
  ThreadExecutor(1).run(5, [&](std::size_t i) { order.push_back(i); });
  EXPECT_EQ(order, (std::vector<std::size_t>{0, 1, 2, 3, 4}));
}

TEST(ThreadExecutor, ThrowsTheFailureOfTheLowestIndex) {
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> waiting = 0;
    const auto fail_together = [&](std::size_t i) {
      ++waiting;
      while (waiting < 4) std::this_thread::yield();
      throw std::runtime_error(std::to_string(i));
    };
    try {
      ThreadExecutor(4).run(4, fail_together);
      FAIL() << "nothing was thrown";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "0");
    }
  }
}

TEST(ThreadExecutor, StartsNoTaskAfterAFailure) {
  std::size_t runs = 0;
  const auto task = [&](std::size_t i) {
    ++runs;
    if (i == 3) throw std::runtime_error("enough");
  };
  EXPECT_THROW(ThreadExecutor(1).run(100, task), std::runtime_error);
  EXPECT_EQ(runs, 4u);
}

TEST(RunWeighted, NeverExceedsTheCapacity) {
  const std::vector<std::size_t> weights = {1, 1, 3, 2, 1, 4, 1, 1, 9, 2, 1, 1};
  std::mutex guard;
  std::size_t busy = 0, most = 0;
  std::vector<int> runs(weights.size());
  run_weighted(weights, 4, [&](std::size_t i) {
    const std::size_t weight = std::min<std::size_t>(weights[i], 4);
    {
      const std::lock_guard lock(guard);
      busy += weight;
      most = std::max(most, busy);
      ++runs[i];
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const std::lock_guard lock(guard);
    busy -= weight;
  });
  EXPECT_LE(most, 4u);
  EXPECT_EQ(runs, std::vector<int>(weights.size(), 1));
}

TEST(RunWeighted, TakesZeroForOne) {
  int runs = 0;
  run_weighted(std::vector<std::size_t>{0, 0}, 0, [&](std::size_t) { ++runs; });
  EXPECT_EQ(runs, 2);
}

}  // namespace
}  // namespace ferry::parallel
