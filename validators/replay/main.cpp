// torchferry-replay: runs exported models for torchferry, in a process that may crash.
//
// One line of JSON comes in, lines of JSON go out, and a golden is written beside.  It measures; torchferry
// judges.
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <string>
#include <thread>

#include "src/core/error.h"
#include "src/core/sink.h"
#include "src/core/text.h"
#include "validators/replay/events.h"
#include "validators/replay/request.h"
#include "validators/replay/session.h"

namespace ferry::replay {
namespace {

constexpr std::size_t kLineMax = 1 << 20;

std::string read_line() {
  std::string line;
  char c = 0;
  for (;;) {
    const ssize_t got = ::read(STDIN_FILENO, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 || c == '\n') return line;
    if (line.size() == kLineMax) throw Error(Code::bad_usage, "the request is too long");
    line += c;
  }
}

void limit(int resource, std::uint64_t most) {
  if (most == 0) return;
  struct rlimit wanted {
    most, most
  };
  if (::setrlimit(resource, &wanted) != 0)
    throw Error(Code::limit_exceeded, "the limits of the request cannot be set");
}

// A pass frees its tensors and the next one allocates the same again.  By default glibc gives every large
// block, and the end of the heap, back to the system in between; a third of the time of a small model then
// goes into page faults.
void keep_freed_memory() {
#ifdef __GLIBC__
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the most that it takes
  ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
}

// A signal ends the process and leaves no half-written golden behind; so does the end of whoever started it.
void end_cleanly_on_signals() {
  ::signal(SIGPIPE, SIG_IGN);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  sigset_t watched;
  sigemptyset(&watched);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&watched, number);
  ::pthread_sigmask(SIG_BLOCK, &watched, nullptr);
  std::thread([watched] {
    int number = 0;
    while (::sigwait(&watched, &number) != 0) continue;
    remove_open_temporaries();
    ::_exit(128 + number);
  }).detach();
}

int run() {
  try {
    const Request request = read_request(read_line());
    limit(RLIMIT_AS, request.memory_mib << 20);
    limit(RLIMIT_CPU, request.seconds);
    serve(request);
    return 0;
  } catch (const Error& error) {
    tell_error(error);
    return error.fault() == Fault::refused ? 3 : 2;
  } catch (const std::bad_alloc&) {
    tell_error(Error(Code::out_of_memory, "there is not enough memory for the model"));
  } catch (const std::exception& error) {
    const std::string_view what = error.what();
    tell_error(Error(Code::model_failed, std::string(what.substr(0, what.find('\n')))));
  }
  return 2;
}

}  // namespace

int start() {
  keep_freed_memory();
  end_cleanly_on_signals();
  const int status = run();
  // LibTorch's own end takes longer than a small model, and nothing is left to be done.
  ::_exit(status);
}

}  // namespace ferry::replay

int main() { return ferry::replay::start(); }
