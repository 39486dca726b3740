#include "src/cli/doctor/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

extern "C" char** environ;

namespace ferry::doctor {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kAnswerMax = 1 << 20;

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() { reset(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_;
};

// One end for us, one for the program; sockets, because writing to one can be told not to raise SIGPIPE.
bool connect(Descriptor& ours, Descriptor& theirs) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return false;
  // Above the standard streams: what is given to the program must not overwrite what is still to be given.
  for (int& end : ends) {
    const int high = ::fcntl(end, F_DUPFD_CLOEXEC, 10);
    ::close(end);
    end = high;
  }
  ours.reset(ends[0]);
  theirs.reset(ends[1]);
  return ends[0] >= 0 && ends[1] >= 0;
}

class Running {
 public:
  ~Running() {
    if (pid_ > 0) end();
  }
  bool start(std::vector<std::string>& words, std::string& failure);
  void say(std::string_view input);
  bool listen(Clock::time_point until, ProgramAnswer& to);  // false when time ran out
  int end();  // kills it when it still runs; the status of waitpid
  bool wait(Clock::time_point until);

 private:
  bool take(Descriptor& from, std::string& to);

  pid_t pid_ = -1;
  int status_ = 0;
  Descriptor input_, output_, errors_;
};

bool Running::start(std::vector<std::string>& words, std::string& failure) {
  Descriptor their_input, their_output, their_errors;
  if (!connect(input_, their_input) || !connect(output_, their_output) || !connect(errors_, their_errors)) {
    failure = std::string("does not start: ") + std::strerror(errno);
    return false;
  }
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, their_input.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, their_output.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, their_errors.get(), STDERR_FILENO);
  // Signals as a new program expects them; ours are blocked for the thread that waits for them.
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none, defaults;
  sigemptyset(&none);
  sigemptyset(&defaults);
  for (const int signal : {SIGPIPE, SIGXFSZ, SIGINT, SIGTERM, SIGHUP}) sigaddset(&defaults, signal);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &defaults);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const int error = ::posix_spawn(&pid_, words[0].c_str(), &actions, &attributes, pointers.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error == 0) return true;
  pid_ = -1;
  failure = std::string("does not start: ") + std::strerror(error);
  return false;
}

// Requests are a line: a socket takes that whole, whether or not it is read.
void Running::say(std::string_view input) {
  if (!input.empty())
    static_cast<void>(::send(input_.get(), input.data(), input.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
  input_.reset();
}

// False at the end of the stream.
bool Running::take(Descriptor& from, std::string& to) {
  std::array<char, 4096> buffer{};
  const ssize_t got = ::read(from.get(), buffer.data(), buffer.size());
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  if (got <= 0) {
    from.reset();
    return false;
  }
  to.append(buffer.data(), std::min(static_cast<std::size_t>(got), kAnswerMax - to.size()));
  return true;
}

bool Running::listen(Clock::time_point until, ProgramAnswer& to) {
  while (output_.get() >= 0 || errors_.get() >= 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    if (left <= 0) return false;
    std::array<pollfd, 2> streams = {{{output_.get(), POLLIN, 0}, {errors_.get(), POLLIN, 0}}};
    if (::poll(streams.data(), streams.size(), static_cast<int>(left)) < 0 && errno != EINTR) return false;
    if (streams[0].revents != 0) take(output_, to.output);
    if (streams[1].revents != 0) take(errors_, to.errors);
  }
  return true;
}

// A program may close its streams and go on.
bool Running::wait(Clock::time_point until) {
  while (pid_ > 0) {
    const pid_t ended = ::waitpid(pid_, &status_, WNOHANG);
    if (ended == pid_ || (ended < 0 && errno != EINTR)) {
      pid_ = -1;
      return true;
    }
    if (Clock::now() >= until) return false;
    ::usleep(2000);
  }
  return true;
}

int Running::end() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }
  return status_;
}

}  // namespace

ProgramAnswer ask_program(std::vector<std::string> words, std::string_view input, unsigned seconds) {
  ProgramAnswer answer;
  Running program;
  if (!program.start(words, answer.failure)) return answer;
  program.say(input);
  const auto until = Clock::now() + std::chrono::seconds(seconds);
  const bool in_time = program.listen(until, answer) && program.wait(until);
  const int status = program.end();
  if (!in_time)
    answer.failure = "no answer within " + std::to_string(seconds) + " s";
  else if (WIFEXITED(status))
    answer.status = WEXITSTATUS(status);
  else
    answer.failure = "killed by signal " + std::to_string(WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  return answer;
}

}  // namespace ferry::doctor
