// How far a run is, for people who wait: one line that is redrawn on a terminal, one line in ten seconds
// elsewhere.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace ferry::cli {

class Progress {
 public:
  // Writes to stderr; nothing at all when not `shown`.
  Progress(std::size_t files, std::uint64_t bytes, bool shown);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void add_bytes(std::uint64_t bytes) { done_bytes_.fetch_add(bytes, std::memory_order_relaxed); }
  void add_file() { done_files_.fetch_add(1, std::memory_order_relaxed); }

  // Whole lines, with the progress line out of their way.
  void print_out(std::string_view lines);
  void print_error_line(const std::exception& error);

 private:
  void watch(const std::stop_token& stop);
  std::string line() const;
  void clear();

  const std::size_t files_;
  const std::uint64_t bytes_;
  const bool terminal_;
  const std::chrono::steady_clock::time_point start_;
  std::atomic<std::uint64_t> done_bytes_ = 0;
  std::atomic<std::size_t> done_files_ = 0;
  std::mutex screen_;
  std::condition_variable_any tick_;
  bool drawn_ = false;
  std::jthread watcher_;
};

// "1:02:03", "0:07".
std::string clock_text(std::uint64_t seconds);

}  // namespace ferry::cli
