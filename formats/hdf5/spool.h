// Files without a name: a source that another process can read, and room for payloads that are no plain bytes
// of the file.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>

#include "formats/hdf5/process.h"
#include "src/core/bytes.h"

namespace ferry::hdf5 {

// A descriptor through which another process reads what `source` holds: that of the open file itself; what is
// no file is copied into an unnamed one.  Throws Code::cannot_read, Code::cannot_write.
Descriptor open_for_helper(const ByteSource& source);

// An unnamed file in memory.  Throws Code::cannot_write.
Descriptor make_memory_file();

// pread and pwrite of all bytes, or Code::cannot_read, Code::cannot_write.
void read_fully(int fd, std::uint64_t offset, std::span<std::byte> out);
void write_fully(int fd, std::uint64_t offset, Bytes bytes);

// Payloads of one file: small ones stay in memory, together at most 16 MiB; the others go into one unnamed
// file in TMPDIR (else /tmp), which ends with the last of them.  Thread-safe.
class Spool {
 public:
  static constexpr std::uint64_t kMemoryMax = 16 << 20;
  static constexpr std::uint64_t kPieceMax = 1 << 20;  // of a payload that may stay in memory

  // True when `size` more bytes may be kept in memory; they count from then on.
  bool claim_memory(std::uint64_t size);
  // Room for `size` bytes in the file: the offset of the first.
  std::uint64_t claim_file(std::uint64_t size);
  void write(std::uint64_t offset, Bytes bytes) { write_fully(file_.get(), offset, bytes); }
  void read(std::uint64_t offset, std::span<std::byte> out) const { read_fully(file_.get(), offset, out); }

 private:
  std::mutex guard_;
  Descriptor file_;
  std::uint64_t in_memory_ = 0, in_file_ = 0;
};

}  // namespace ferry::hdf5
