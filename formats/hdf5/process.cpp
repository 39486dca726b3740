#include "formats/hdf5/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "formats/hdf5/complaint.h"
#include "formats/hdf5/protocol.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::hdf5 {
namespace {

constexpr std::size_t kBufferBytes = 64 << 10;
constexpr std::size_t kComplaintMax = 16 << 10;

[[noreturn]] void cannot_start(const std::string& what, int error) {
  throw Error(Code::helper_missing,
              "the program that reads HDF5 files cannot be started: " + what + ": " + std::strerror(error));
}

std::pair<Descriptor, Descriptor> make_socket_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) cannot_start("socketpair", errno);
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

std::pair<Descriptor, Descriptor> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) cannot_start("pipe", errno);
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

// A descriptor above those that the child will have, so that setting one up overwrites no other.
Descriptor out_of_the_way(int fd) {
  Descriptor copy(::fcntl(fd, F_DUPFD_CLOEXEC, protocol::kFileDescriptor + 1));
  if (copy.get() < 0) cannot_start("fcntl", errno);
  return copy;
}

// The helper needs nothing of our environment but what the loader and the sanitizers read; variables of the
// HDF5 library (plugins, drivers) must not reach it.  Read-only file systems know no locks.
std::vector<std::string> make_environment() {
  std::vector<std::string> result = {"HDF5_USE_FILE_LOCKING=FALSE"};
  for (const char* name : {"LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"})
    if (const char* value = std::getenv(name)) result.push_back(std::string(name) + "=" + value);
  return result;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// posix_spawn's two records, freed with the scope.
struct SpawnPlan {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;

  SpawnPlan() {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    // A group of its own: Ctrl-C is for torchferry to handle.  Signals as a new program expects them.
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    for (const int signal : {SIGPIPE, SIGXCPU, SIGINT, SIGTERM, SIGHUP}) sigaddset(&defaults, signal);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &defaults);
    ::posix_spawnattr_setpgroup(&attributes, 0);
    ::posix_spawnattr_setflags(&attributes,
                               POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  void give(const Descriptor& ours, int theirs) {
    ::posix_spawn_file_actions_adddup2(&actions, ours.get(), theirs);
  }
};

}  // namespace

// --- Descriptor

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = other.release();
  }
  return *this;
}

int Descriptor::release() { return std::exchange(fd_, -1); }

void Descriptor::reset() {
  if (fd_ >= 0) ::close(release());
}

// --- Starting

std::string find_helper() {
  std::string path;
  if (const char* named = std::getenv("TORCHFERRY_HDF5"); named != nullptr && *named != '\0') {
    path = named;
  } else {
    std::array<char, 4096> self{};
    const ssize_t size = ::readlink("/proc/self/exe", self.data(), self.size());
    const std::string_view program(self.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    path = std::string(program.substr(0, program.rfind('/') + 1)) + std::string(protocol::kProgram);
  }
  if (::access(path.c_str(), X_OK) != 0)
    throw Error(Code::helper_missing,
                "HDF5 files are read by a program of its own, which is not at " + quote(path))
        .with_hint("build torchferry where libhdf5-dev is installed (scripts/setup installs it), keep " +
                   std::string(protocol::kProgram) + " beside torchferry, or name it in TORCHFERRY_HDF5");
  return path;
}

Allowance allowance_for(std::uint64_t file_size) {
  Allowance result;
  result.seconds = 2 + std::min<std::uint64_t>(file_size >> 20, 600);
  result.silence_seconds = 10 + 2 * result.seconds;
  return result;
}

Process::Process(std::string_view verb, int file, const Allowance& allowance) : allowance_(allowance) {
  std::vector<std::string> words = {find_helper(), std::to_string(protocol::kVersion), std::string(verb)};
  for (const std::uint64_t number :
       {allowance.memory_bytes, allowance.seconds, allowance.objects_max, allowance.depth_max})
    words.push_back(std::to_string(number));
  std::vector<std::string> environment = make_environment();

  auto [ours, theirs] = make_socket_pair();
  auto [complaints, complain] = make_pipe();
  const Descriptor talk = out_of_the_way(theirs.get()), moan = out_of_the_way(complain.get()),
                   data = out_of_the_way(file);
  SpawnPlan plan;
  plan.give(talk, STDIN_FILENO);
  plan.give(talk, STDOUT_FILENO);
  plan.give(moan, STDERR_FILENO);
  plan.give(data, protocol::kFileDescriptor);
  const int error = ::posix_spawn(&pid_, words[0].c_str(), &plan.actions, &plan.attributes,
                                  pointers_to(words).data(), pointers_to(environment).data());
  if (error != 0) {
    pid_ = -1;
    cannot_start(words[0], error);
  }
  pipe_ = std::move(ours);
  errors_ = std::move(complaints);
}

Process::~Process() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  wait_for_end();
}

int Process::wait_for_end() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) continue;
  pid_ = -1;
  return status;
}

void Process::grant_seconds(std::uint64_t seconds) {
  struct rlimit limit {};
  if (pid_ < 0 || ::prlimit(pid_, RLIMIT_CPU, nullptr, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
    return;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_cur + seconds, limit.rlim_max);
  ::prlimit(pid_, RLIMIT_CPU, &limit, nullptr);
}

// --- Talking

void Process::send(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::send(pipe_.get(), text.data(), text.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) explain_death();
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

void Process::finish_sending() { ::shutdown(pipe_.get(), SHUT_WR); }

bool Process::fill() {
  buffer_.erase(0, at_);
  at_ = 0;
  std::array<pollfd, 2> ready = {pollfd{pipe_.get(), POLLIN, 0}, pollfd{errors_.get(), POLLIN, 0}};
  for (;;) {
    const int count = ::poll(ready.data(), ready.size(), static_cast<int>(allowance_.silence_seconds * 1000));
    if (count < 0 && errno == EINTR) continue;
    if (count == 0)
      throw Error(Code::limit_exceeded, "the HDF5 library did not come to an end with this file within " +
                                            std::to_string(allowance_.silence_seconds) + " seconds");
    if (count < 0) throw Error(Code::cannot_read, std::string("cannot wait: ") + std::strerror(errno));
    std::array<char, 4096> text;
    if (ready[1].revents != 0) {
      const ssize_t got = ::read(errors_.get(), text.data(), text.size());
      if (got > 0 && complaint_.size() < kComplaintMax)
        complaint_.append(text.data(), static_cast<std::size_t>(got));
      if (got == 0) ready[1].fd = -1;
    }
    if (ready[0].revents != 0) break;
  }
  const std::size_t held = buffer_.size();
  buffer_.resize(held + kBufferBytes);
  ssize_t got = 0;
  do {
    got = ::recv(pipe_.get(), buffer_.data() + held, kBufferBytes, 0);
  } while (got < 0 && errno == EINTR);
  buffer_.resize(held + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return got > 0;
}

std::string_view Process::read_line() {
  std::size_t searched = 0;
  for (;;) {
    const std::size_t end = buffer_.find('\n', at_ + searched);
    if (end != std::string::npos) {
      const std::string_view line(buffer_.data() + at_, end - at_);
      at_ = end + 1;
      return line;
    }
    searched = buffer_.size() - at_;
    if (searched > protocol::kLineMax)
      throw Error(Code::limit_exceeded, "the listing of the file is too long");
    if (!fill()) explain_death();
  }
}

void Process::read_bytes(std::span<std::byte> out) {
  while (!out.empty()) {
    if (at_ == buffer_.size() && !fill()) explain_death();
    const std::size_t count = std::min(out.size(), buffer_.size() - at_);
    std::memcpy(out.data(), buffer_.data() + at_, count);
    at_ += count;
    out = out.subspan(count);
  }
}

// --- Its end

void Process::explain_death() {
  if (pid_ < 0) throw_complaint(complaint_, 0);  // a process group must never be what kill() is given
  // Its side of the pipes is closed, so what it said last can be read to the end without waiting; should it
  // have closed them and live on, it is killed.
  std::array<char, 4096> text;
  for (pollfd ready{errors_.get(), POLLIN, 0};
       ::poll(&ready, 1, 2000) > 0 && complaint_.size() < kComplaintMax;) {
    const ssize_t got = ::read(errors_.get(), text.data(), text.size());
    if (got <= 0) break;
    complaint_.append(text.data(), static_cast<std::size_t>(got));
  }
  ::kill(pid_, SIGKILL);
  throw_complaint(complaint_, wait_for_end());
}

}  // namespace ferry::hdf5
