#include "formats/zip/inflated_source.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "formats/zip/inflate.h"
#include "src/core/checked.h"
#include "src/core/error.h"

namespace ferry::zip {
namespace {

[[noreturn]] void fail_to_write(const std::string& folder) {
  throw Error(Code::cannot_write, "cannot inflate into a temporary file" +
                                      (folder.empty() ? "" : " in " + folder) + ": " + std::strerror(errno))
      .with_hint("set TMPDIR to a folder with room for the inflated data");
}

// A file that no name leads to: it is gone when it is closed, also when the process is killed.
int open_unnamed() {
  const char* variable = std::getenv("TMPDIR");  // NOLINT(concurrency-mt-unsafe): nothing changes it
  const std::string folder = variable != nullptr && *variable != '\0' ? variable : "/tmp";
  int file = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file >= 0) return file;
  // Some file systems cannot make files without a name; theirs is taken away at once.
  std::string path = folder + "/torchferry-XXXXXX";
  file = ::mkostemp(path.data(), O_CLOEXEC);
  if (file < 0) fail_to_write(folder);
  ::unlink(path.c_str());
  return file;
}

}  // namespace

// --- the space

InflatedSpace::~InflatedSpace() {
  if (file_ >= 0) ::close(file_);
}

bool InflatedSpace::take_memory(std::uint64_t size) {
  const std::scoped_lock lock(mutex_);
  if (size > memory_left_) return false;
  memory_left_ -= size;
  return true;
}

void InflatedSpace::give_memory_back(std::uint64_t size) {
  const std::scoped_lock lock(mutex_);
  memory_left_ += size;
}

std::uint64_t InflatedSpace::take_room(std::uint64_t size) {
  const std::scoped_lock lock(mutex_);
  if (file_ < 0) file_ = open_unnamed();
  const std::uint64_t place = file_end_;
  file_end_ += size;  // sizes of records of a file add up to far less than 64 bits
  return place;
}

void InflatedSpace::write_at(std::uint64_t offset, Bytes bytes) const {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail_to_write("");
    bytes = bytes.subspan(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
}

void InflatedSpace::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t got = ::pread(file_, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0)
      throw Error(Code::cannot_read, "cannot read the temporary file" +
                                         (got < 0 ? std::string(": ") + std::strerror(errno) : ""));
    out = out.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
}

// --- one record

InflatedSource::InflatedSource(SourcePtr archive, Record record, std::shared_ptr<InflatedSpace> space)
    : archive_(std::move(archive)), record_(std::move(record)), space_(std::move(space)) {}

void InflatedSource::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  if (!fits(offset, out.size(), record_.size))
    throw Error(Code::truncated, std::to_string(out.size()) + " bytes are needed where " +
                                     std::to_string(record_.size - std::min(offset, record_.size)) +
                                     " are left in the record")
        .at(offset)
        .in(in_record(record_.name));
  if (!ready_.load(std::memory_order_acquire)) fill();
  if (!in_memory_) return space_->read_at(place_ + offset, out);
  if (!out.empty()) std::memcpy(out.data(), memory_.data() + offset, out.size());
}

// A record that cannot be inflated throws each time that it is read.
void InflatedSource::fill() const {
  const std::scoped_lock lock(mutex_);
  if (ready_.load(std::memory_order_relaxed)) return;
  InflateStream stream(*archive_, record_);
  in_memory_ = space_->take_memory(record_.size);
  try {
    in_memory_ ? fill_memory(stream) : fill_file(stream);
  } catch (...) {
    memory_ = {};
    if (in_memory_) space_->give_memory_back(record_.size);
    throw;
  }
  ready_.store(true, std::memory_order_release);
}

// Memory grows with what is there, not with what the directory claims.
void InflatedSource::fill_memory(InflateStream& stream) const {
  while (stream.bytes_left() > 0) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(kReadBlock, stream.bytes_left()));
    memory_.resize(memory_.size() + size);
    stream.read(std::span(memory_).last(size));
  }
  stream.finish();
}

void InflatedSource::fill_file(InflateStream& stream) const {
  const std::uint64_t place = space_->take_room(record_.size);
  std::vector<std::byte> block;
  for (std::uint64_t done = 0; done < record_.size; done += block.size()) {
    block.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kReadBlock, stream.bytes_left())));
    stream.read(block);
    space_->write_at(place + done, block);
  }
  stream.finish();
  place_ = place;
}

}  // namespace ferry::zip
