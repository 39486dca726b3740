#include "src/cli/replay_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::cli {
namespace {

constexpr std::string_view kProgram = "torchferry-replay";
constexpr std::size_t kLineMax = 16 << 20, kComplaintsKept = 8 << 10;

[[noreturn]] void cannot_start(const std::string& what, int error) {
  throw Error(Code::helper_missing,
              "the program that runs models cannot be started: " + what + ": " + std::strerror(error));
}

std::array<int, 2> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) cannot_start("pipe", errno);
  return ends;
}

struct SpawnPlan {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;

  SpawnPlan() {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    // It stays in our process group: Ctrl-C is for both, and it cleans up after itself.
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    for (const int signal : {SIGPIPE, SIGXCPU, SIGXFSZ, SIGINT, SIGTERM, SIGHUP})
      sigaddset(&defaults, signal);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &defaults);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
};

// It may have gone before it read; its end says why.
void send_all(int pipe, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::send(pipe, text.data(), text.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

std::string last_line(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  const std::size_t at = text.rfind('\n');
  return std::string(at == std::string_view::npos ? text : text.substr(at + 1));
}

}  // namespace

std::string find_replay_program() {
  std::string path;
  if (const char* named = std::getenv("TORCHFERRY_REPLAY"); named != nullptr && *named != '\0') {
    path = named;
  } else {
    std::array<char, 4096> self{};
    const ssize_t size = ::readlink("/proc/self/exe", self.data(), self.size());
    const std::string_view program(self.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    path = std::string(program.substr(0, program.rfind('/') + 1)) + std::string(kProgram);
  }
  if (::access(path.c_str(), X_OK) != 0)
    throw Error(Code::helper_missing,
                "models are run by a program of its own, which is not at " + quote(path))
        .with_hint("build torchferry where PyTorch 2.x is installed (scripts/setup installs it), keep " +
                   std::string(kProgram) + " beside torchferry, or name it in TORCHFERRY_REPLAY");
  return path;
}

ReplayProcess::ReplayProcess(std::vector<std::string> words, std::string_view input) : program_(words.at(0)) {
  int in[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) != 0) cannot_start("socketpair", errno);
  const auto out = make_pipe(), err = make_pipe();
  int error = 0;
  {
    SpawnPlan plan;
    ::posix_spawn_file_actions_adddup2(&plan.actions, in[1], STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&plan.actions, out[1], STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&plan.actions, err[1], STDERR_FILENO);
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    error =
        ::posix_spawnp(&pid_, program_.c_str(), &plan.actions, &plan.attributes, arguments.data(), environ);
  }
  for (const int end : {in[1], out[1], err[1]}) ::close(end);
  out_ = out[0];
  err_ = err[0];
  if (error != 0) {
    pid_ = -1;
    for (const int end : {in[0], out_, err_}) ::close(end);
    cannot_start(program_, error);
  }
  send_all(in[0], input);
  ::close(in[0]);
}

ReplayProcess::~ReplayProcess() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) continue;
  }
  for (const int end : {out_, err_})
    if (end >= 0) ::close(end);
}

void ReplayProcess::collect_complaints() {
  std::array<char, 4096> text;
  const ssize_t got = ::read(err_, text.data(), text.size());
  if (got <= 0) {
    ::close(err_);
    err_ = -1;
    return;
  }
  complaints_.append(text.data(), static_cast<std::size_t>(got));
  if (complaints_.size() > kComplaintsKept) complaints_.erase(0, complaints_.size() - kComplaintsKept);
}

// LibTorch warns on stderr; it must be read, or the pipe fills and both wait for ever.
void ReplayProcess::fill() {
  std::array<pollfd, 2> ready = {pollfd{out_, POLLIN, 0}, pollfd{err_, POLLIN, 0}};
  while (::poll(ready.data(), ready.size(), -1) < 0)
    if (errno != EINTR) throw Error(Code::cannot_read, std::string("cannot wait: ") + std::strerror(errno));
  if (ready[1].revents != 0) collect_complaints();
  if (ready[0].revents == 0) return;
  std::array<char, 65536> text;
  const ssize_t got = ::read(out_, text.data(), text.size());
  if (got > 0) buffer_.append(text.data(), static_cast<std::size_t>(got));
  if (got == 0 || (got < 0 && errno != EINTR)) ended_ = true;
}

bool ReplayProcess::read_line(std::string& line) {
  for (;;) {
    if (const std::size_t end = buffer_.find('\n'); end != std::string::npos) {
      line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return true;
    }
    if (ended_) return false;
    if (buffer_.size() > kLineMax)
      throw Error(Code::limit_exceeded, quote(program_) + " says more in one line than it may");
    fill();
  }
}

std::string ReplayProcess::last_complaint() const { return last_line(complaints_); }

int ReplayProcess::finish() {
  while (err_ >= 0) collect_complaints();
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) continue;
  pid_ = -1;
  if (WIFEXITED(status) && WEXITSTATUS(status) != 127) return WEXITSTATUS(status);
  const std::string said = last_complaint();
  const std::string why = said.empty() ? std::string() : ": " + quote(said, 300);
  if (WIFEXITED(status))
    throw Error(Code::helper_missing, "the program that runs models cannot be run here" + why)
        .with_hint("torchferry-replay needs the LibTorch that it was built with");
  if (WTERMSIG(status) == SIGXCPU)
    throw Error(Code::limit_exceeded, "the model took more processor time than it was given");
  throw Error(Code::model_failed, "the model took torchferry-replay down with it (signal " +
                                      std::to_string(WTERMSIG(status)) + ")" + why);
}

}  // namespace ferry::cli
