#include "formats/hdf5/helper/pipes.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "formats/hdf5/protocol.h"
#include "src/core/error.h"

namespace ferry::hdf5::helper {
namespace {

constexpr std::size_t kBufferBytes = 64 << 10;

void write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(STDOUT_FILENO, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw Error(Code::cannot_write, std::string("cannot answer: ") + std::strerror(errno));
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

}  // namespace

bool LineInput::fill() {
  buffer_.erase(0, at_);
  at_ = 0;
  const std::size_t held = buffer_.size();
  if (held > protocol::kLineMax) throw Error(Code::limit_exceeded, "a request is too long");
  buffer_.resize(held + kBufferBytes);
  ssize_t count = 0;
  do {
    count = ::read(STDIN_FILENO, buffer_.data() + held, kBufferBytes);
  } while (count < 0 && errno == EINTR);
  buffer_.resize(held + static_cast<std::size_t>(count > 0 ? count : 0));
  if (count < 0)
    throw Error(Code::cannot_read, std::string("cannot read a request: ") + std::strerror(errno));
  return count > 0;
}

bool LineInput::next(std::string& line) {
  std::size_t searched = at_;
  for (;;) {
    const std::size_t end = buffer_.find('\n', searched);
    if (end != std::string::npos) {
      line.assign(buffer_, at_, end - at_);
      at_ = end + 1;
      return true;
    }
    searched = buffer_.size() - at_;
    if (!fill()) return false;
  }
}

void Output::put(std::string_view text) {
  if (buffer_.size() + text.size() > kBufferBytes) flush();
  if (text.size() > kBufferBytes)
    write_all(text);
  else
    buffer_ += text;
}

void Output::flush() {
  write_all(buffer_);
  buffer_.clear();
}

}  // namespace ferry::hdf5::helper
