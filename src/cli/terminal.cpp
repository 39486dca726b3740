#include "src/cli/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::cli {
namespace {

int lost_output = 0;  // the first errno of a failed write to stdout
bool closed_output = false, closed_is_allowed = false;

}  // namespace

bool is_terminal(std::FILE* stream) { return ::isatty(::fileno(stream)) == 1; }

bool takes_color(std::FILE* stream, ColorChoice choice) {
  if (choice != ColorChoice::automatic) return choice == ColorChoice::always;
  const char* const no_color = std::getenv("NO_COLOR");
  const char* const term = std::getenv("TERM");
  if (no_color != nullptr && *no_color != '\0') return false;
  return is_terminal(stream) && term != nullptr && std::strcmp(term, "dumb") != 0;
}

std::size_t terminal_width(std::FILE* stream) {
  if (!is_terminal(stream)) return 0;
  winsize size{};
  return ::ioctl(::fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void keep_standard_streams() {
  for (int fd = 0; fd <= 2; ++fd)
    if (::fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
      closed_output = closed_output || fd == STDOUT_FILENO;
      ::open("/dev/null", O_RDWR);  // takes the lowest number: this one
    }
}

void allow_closed_output() { closed_is_allowed = true; }

void print(std::string_view text) {
  if (lost_output != 0) return;
  if (closed_output && !closed_is_allowed && !text.empty()) {
    lost_output = EBADF;
    return;
  }
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) lost_output = errno;
}

void print_error(const std::exception& error) {
  std::string text = "torchferry: error: ";
  if (dynamic_cast<const Error*>(&error) != nullptr)
    text += error.what();
  else if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr)
    text += Error(Code::out_of_memory, "there was not enough memory").what();
  else
    text += Error(Code::internal, std::string("internal error: ") + error.what()).what();
  text += '\n';
  std::fwrite(text.data(), 1, text.size(), stderr);
}

void print_remark(std::string_view what) {
  const std::string text = "torchferry: " + std::string(what) + "\n";
  std::fwrite(text.data(), 1, text.size(), stderr);
}

int finish_output() {
  if (std::fflush(stdout) != 0 && lost_output == 0) lost_output = errno;
  if (lost_output == 0 || lost_output == EPIPE) return 0;
  print_error(Error(Code::cannot_write,
                    std::string("cannot write to standard output: ") + std::strerror(lost_output)));
  return 2;
}

}  // namespace ferry::cli
