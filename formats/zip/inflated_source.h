// Deflated records as bytes that can be read at any offset.
//
// A record is inflated whole when the first byte of it is asked for, and kept: the records of one archive
// share a little memory and, beyond it, one temporary file that has no name.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "formats/zip/record.h"
#include "src/core/bytes.h"

namespace ferry::zip {

class InflateStream;

// Where inflated records are kept.  Thread-safe.
class InflatedSpace {
 public:
  // Bytes of all records together that stay in memory; what does not fit goes to the file.
  static constexpr std::uint64_t kMemoryMax = std::uint64_t{16} << 20;

  explicit InflatedSpace(std::uint64_t memory_max = kMemoryMax) : memory_left_(memory_max) {}
  ~InflatedSpace();
  InflatedSpace(const InflatedSpace&) = delete;
  InflatedSpace& operator=(const InflatedSpace&) = delete;

 private:
  friend class InflatedSource;

  // Takes that much of the memory, or nothing.
  bool take_memory(std::uint64_t size);
  void give_memory_back(std::uint64_t size);
  // The place of that many bytes in the file, which is made in $TMPDIR or /tmp when it is first needed.
  std::uint64_t take_room(std::uint64_t size);
  void write_at(std::uint64_t offset, Bytes bytes) const;  // Code::cannot_write, as on a full disk
  void read_at(std::uint64_t offset, std::span<std::byte> out) const;

  std::mutex mutex_;
  std::uint64_t memory_left_;
  std::uint64_t file_end_ = 0;
  int file_ = -1;
};

// The inflated bytes of one record.  No byte is handed out before the length and the CRC of the whole record
// were found right.
class InflatedSource final : public ByteSource {
 public:
  // `record` is one of Archive::records of `archive`, with method kDeflated.
  InflatedSource(SourcePtr archive, Record record, std::shared_ptr<InflatedSpace> space);

  const std::string& name() const override { return archive_->name(); }
  std::uint64_t size() const override { return record_.size; }
  // Besides what ByteSource throws: what InflateStream throws, and Code::cannot_write when there is no room
  // for the temporary file.
  void read_at(std::uint64_t offset, std::span<std::byte> out) const override;
  void check_unchanged() const override { archive_->check_unchanged(); }

 private:
  void fill() const;
  void fill_memory(InflateStream& stream) const;
  void fill_file(InflateStream& stream) const;

  SourcePtr archive_;
  Record record_;
  std::shared_ptr<InflatedSpace> space_;
  mutable std::mutex mutex_;                // of the members below, while they are filled
  mutable std::atomic<bool> ready_{false};  // after it they do not change
  mutable bool in_memory_ = false;
  mutable std::vector<std::byte> memory_;
  mutable std::uint64_t place_ = 0;  // in the file
};

}  // namespace ferry::zip
