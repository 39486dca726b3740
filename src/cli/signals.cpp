#include "src/cli/signals.h"

#include <signal.h>
#include <unistd.h>

#include <system_error>
#include <thread>

#include "src/core/sink.h"

namespace ferry::cli {
namespace {

bool is_ignored(int number) {
  struct sigaction action {};
  return ::sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

[[noreturn]] void end_on_signal(sigset_t watched) {
  int number = 0;
  while (::sigwait(&watched, &number) != 0) {
  }
  remove_open_temporaries();
  ::_exit(128 + number);
}

}  // namespace

void watch_signals() {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  sigset_t watched;
  sigemptyset(&watched);
  for (const int number : {SIGINT, SIGTERM, SIGHUP})
    if (!is_ignored(number)) sigaddset(&watched, number);
  sigset_t before;
  ::pthread_sigmask(SIG_BLOCK, &watched, &before);
  try {
    std::thread(end_on_signal, watched).detach();
  } catch (const std::system_error&) {
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);  // no thread to be had: signals end the process as ever
  }
}

}  // namespace ferry::cli
