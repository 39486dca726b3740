#include "formats/hdf5/spool.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "src/core/error.h"

namespace ferry::hdf5 {
namespace {

constexpr std::size_t kCopyBytes = 1 << 20;

Descriptor copy_of(const ByteSource& source) {
  Descriptor copy = make_memory_file();
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min<std::uint64_t>(kCopyBytes, source.size())));
  for (std::uint64_t at = 0; at < source.size(); at += buffer.size()) {
    const auto size = std::min<std::uint64_t>(buffer.size(), source.size() - at);
    const auto piece = std::span(buffer).first(static_cast<std::size_t>(size));
    source.read_at(at, piece);
    write_fully(copy.get(), at, piece);
  }
  return copy;
}

Descriptor make_temporary_file() {
  const char* folder = std::getenv("TMPDIR");
  std::string path = (folder != nullptr && *folder != '\0' ? folder : "/tmp");
  Descriptor file(::open(path.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file.get() >= 0) return file;
  path += "/torchferry-hdf5.XXXXXX";  // for file systems without O_TMPFILE
  file = Descriptor(::mkostemp(path.data(), O_CLOEXEC));
  if (file.get() < 0)
    throw Error(Code::cannot_write,
                "cannot create a temporary file for unpacked data: " + std::string(std::strerror(errno)))
        .with_hint("TMPDIR may name a folder with room");
  ::unlink(path.c_str());
  return file;
}

}  // namespace

Descriptor open_for_helper(const ByteSource& source) {
  const int descriptor = source.descriptor();
  if (descriptor < 0) return copy_of(source);
  Descriptor file(::fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
  if (file.get() < 0)
    throw Error(Code::cannot_read, "cannot hand over the file: " + std::string(std::strerror(errno)));
  return file;
}

Descriptor make_memory_file() {
  Descriptor file(::memfd_create("torchferry-hdf5", MFD_CLOEXEC));
  if (file.get() < 0)
    throw Error(Code::cannot_write, "cannot create a file in memory: " + std::string(std::strerror(errno)));
  return file;
}

void read_fully(int fd, std::uint64_t offset, std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t count = ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0)
      throw Error(Code::cannot_read, std::string("cannot read a temporary file: ") +
                                         (count < 0 ? std::strerror(errno) : "it ends too early"));
    out = out.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
}

void write_fully(int fd, std::uint64_t offset, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      throw Error(Code::cannot_write, std::string("cannot write a temporary file: ") + std::strerror(errno))
          .with_hint("TMPDIR may name a folder with room");
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
}

bool Spool::claim_memory(std::uint64_t size) {
  if (size > kPieceMax) return false;
  const std::lock_guard lock(guard_);
  if (size > kMemoryMax - in_memory_) return false;
  in_memory_ += size;
  return true;
}

std::uint64_t Spool::claim_file(std::uint64_t size) {
  const std::lock_guard lock(guard_);
  if (file_.get() < 0) file_ = make_temporary_file();
  const std::uint64_t offset = in_file_;
  in_file_ += size;
  return offset;
}

}  // namespace ferry::hdf5
