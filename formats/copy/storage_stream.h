// The bytes of one storage, front to back, whatever their form in the source.
#pragma once

#include <memory>
#include <optional>

#include "formats/zip/inflate.h"
#include "src/core/checkpoint.h"

namespace ferry::copy {

// Reads a storage as it will be written except for compaction: inflated, little-endian.  The CRC of the
// source is checked when the last byte has been read.
class StorageStream {
 public:
  explicit StorageStream(const Storage& storage);
  // Fills all of `out`; throws Code::checksum_mismatch or bad_deflate at the end of damaged data.
  void read(std::span<std::byte> out);

 private:
  const Storage& storage_;
  zip::Record record_;
  std::optional<zip::InflateStream> inflate_;
  std::uint64_t at_ = 0;
  std::uint32_t crc_ = 0;
};

// A deflated storage as the record of the archive that it came from.
zip::Record record_of(const Storage& storage);

// True when the bytes in the source are those that are written, one to one.
bool is_plain(const Storage& storage);

// Turns elements of `unit` bytes round, in place.
void swap_bytes(std::span<std::byte> bytes, std::size_t unit);

// Throws Code::checksum_mismatch when the source has a CRC and it is another one.
void check_storage_crc(const Storage& storage, std::uint32_t crc);

}  // namespace ferry::copy
