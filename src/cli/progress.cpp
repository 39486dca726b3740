#include "src/cli/progress.h"

#include <algorithm>
#include <cstdio>
#include <system_error>

#include "src/cli/terminal.h"
#include "src/core/text.h"

namespace ferry::cli {
namespace {

using namespace std::chrono_literals;
using Seconds = std::chrono::duration<double>;

constexpr std::chrono::milliseconds kRedraw = 100ms, kQuiet = 300ms,
                                    kLine = 10s;  // a run that ends within `kQuiet` shows nothing

}  // namespace

std::string clock_text(std::uint64_t seconds) {
  const auto two = [](std::uint64_t number) {
    const std::string digits = std::to_string(number);
    return number < 10 ? "0" + digits : digits;
  };
  if (seconds < 3600) return std::to_string(seconds / 60) + ":" + two(seconds % 60);
  return std::to_string(seconds / 3600) + ":" + two(seconds / 60 % 60) + ":" + two(seconds % 60);
}

Progress::Progress(std::size_t files, std::uint64_t bytes, bool shown)
    : files_(files), bytes_(bytes), terminal_(is_terminal(stderr)), start_(std::chrono::steady_clock::now()) {
  if (!shown) return;
  try {
    watcher_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
  } catch (const std::system_error&) {
    // Without a thread there is no progress line; the work itself goes on.
  }
}

Progress::~Progress() {
  if (watcher_.joinable()) {
    watcher_.request_stop();
    watcher_.join();
  }
  const std::lock_guard lock(screen_);
  clear();
}

void Progress::clear() {
  if (drawn_) std::fputs("\r\x1b[K", stderr);
  drawn_ = false;
}

std::string Progress::line() const {
  const std::uint64_t done = std::min(done_bytes_.load(std::memory_order_relaxed), bytes_);
  const double elapsed = Seconds(std::chrono::steady_clock::now() - start_).count();
  const double rate = elapsed > 0 ? static_cast<double>(done) / elapsed : 0;
  std::string text;
  if (files_ > 1)
    text += grouped(done_files_.load(std::memory_order_relaxed)) + " of " + grouped(files_) + " files, ";
  text += iec_size(done) + " of " + iec_size(bytes_);
  if (bytes_ > 0) text += " (" + std::to_string(done * 100 / bytes_) + " %)";
  // Reading back and waiting for the disk are not counted: an ETA of nothing would stand there for long.
  if (bytes_ - done <= bytes_ / 100) return text + ", checking";
  if (rate < 1) return text;
  text += ", " + iec_size(static_cast<std::uint64_t>(rate)) + "/s";
  return text + ", ETA " +
         clock_text(static_cast<std::uint64_t>(static_cast<double>(bytes_ - done) / rate + 0.5));
}

void Progress::watch(const std::stop_token& stop) {
  std::unique_lock lock(screen_);
  const auto wait = [&](auto time) {
    return tick_.wait_for(lock, stop, time, [] { return false; }), stop.stop_requested();
  };
  if (!terminal_) {
    while (!wait(kLine)) std::fprintf(stderr, "torchferry: %s\n", line().c_str());
    return;
  }
  for (bool stopped = wait(kQuiet); !stopped; stopped = wait(kRedraw)) {
    std::string text = line();
    const std::size_t width = terminal_width(stderr);
    if (width > 1 && text.size() >= width) text.resize(width - 1);
    std::fprintf(stderr, "\r%s\x1b[K", text.c_str());
    std::fflush(stderr);
    drawn_ = true;
  }
}

void Progress::print_out(std::string_view lines) {
  const std::lock_guard lock(screen_);
  clear();
  print(lines);
  if (is_terminal(stdout)) std::fflush(stdout);
}

void Progress::print_error_line(const std::exception& error) {
  const std::lock_guard lock(screen_);
  clear();
  print_error(error);
}

}  // namespace ferry::cli
