#include "src/core/bytes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "src/core/checked.h"
#include "src/core/error.h"

namespace ferry {
namespace {

[[noreturn]] void throw_past_end(const ByteSource& source, std::uint64_t offset, std::uint64_t size) {
  throw Error(Code::truncated, std::to_string(size) + " bytes are needed where " +
                                   std::to_string(source.size() - std::min(offset, source.size())) +
                                   " are left in the file")
      .at(offset);
}

std::string system_text(int error) { return std::strerror(error); }

class FileSource final : public ByteSource {
 public:
  explicit FileSource(const std::string& path) : name_(path) {
    // O_NONBLOCK keeps open() from waiting for the other end of a FIFO; it means nothing for a regular file.
    fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd_ < 0) throw Error(Code::cannot_read, "cannot open the file: " + system_text(errno)).of(path);
    struct stat status {};
    const bool known = ::fstat(fd_, &status) == 0;
    if (!known || !S_ISREG(status.st_mode)) {
      const std::string why = !known                    ? system_text(errno)
                              : S_ISDIR(status.st_mode) ? "it is a directory"
                                                        : "it is no regular file";
      ::close(fd_);
      throw Error(Code::cannot_read, "cannot read the file: " + why).of(path);
    }
    size_ = static_cast<std::uint64_t>(status.st_size);
    modified_ = status.st_mtim;
  }
  ~FileSource() override { ::close(fd_); }
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  const std::string& name() const override { return name_; }
  std::uint64_t size() const override { return size_; }
  int descriptor() const override { return fd_; }

  void read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    if (!fits(offset, out.size(), size_)) throw_past_end(*this, offset, out.size());
    while (!out.empty()) {
      const ssize_t got = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0)
        throw Error(Code::cannot_read, "cannot read the file: " + system_text(errno)).at(offset).of(name_);
      if (got == 0)
        throw Error(Code::source_changed, "the file became shorter while it was read").at(offset).of(name_);
      out = out.subspan(static_cast<std::size_t>(got));
      offset += static_cast<std::uint64_t>(got);
    }
  }

  void check_unchanged() const override {
    struct stat status {};
    if (::fstat(fd_, &status) != 0 || static_cast<std::uint64_t>(status.st_size) != size_ ||
        status.st_mtim.tv_sec != modified_.tv_sec || status.st_mtim.tv_nsec != modified_.tv_nsec)
      throw Error(Code::source_changed, "the file changed while it was read").of(name_);
  }

 private:
  std::string name_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
  struct timespec modified_ {};
};

}  // namespace

std::vector<std::byte> ByteSource::read(ByteRange range) const {
  if (!fits(range.offset, range.size, size())) throw_past_end(*this, range.offset, range.size);
  std::vector<std::byte> bytes(range.size);
  read_at(range.offset, bytes);
  return bytes;
}

void MemorySource::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  if (!fits(offset, out.size(), bytes_.size())) throw_past_end(*this, offset, out.size());
  if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
}

SourcePtr open_file(const std::string& path) { return std::make_shared<FileSource>(path); }

Bytes WindowReader::view(std::uint64_t offset, std::size_t size) {
  if (!fits(offset, size, source_.size())) throw_past_end(source_, offset, size);
  if (offset < begin_ || !fits(offset - begin_, size, buffer_.size())) {
    const auto ahead = std::min<std::uint64_t>(std::max(size, window_bytes_), source_.size() - offset);
    buffer_.resize(static_cast<std::size_t>(ahead));
    begin_ = offset;
    source_.read_at(offset, buffer_);
  }
  return Bytes(buffer_).subspan(static_cast<std::size_t>(offset - begin_), size);
}

}  // namespace ferry
