// A zip archive, as PyTorch writes checkpoints: opened whole and checked before any of it is believed.
//
// The directory at the end says what there is; the headers beside the data must say the same.  Where two
// readers could see two different files (repeated names, bytes that two records share, a second end record,
// bytes before or after) the archive is refused.  FORMAT.md lists what is refused, and what is odd but legal.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/zip/end_record.h"
#include "formats/zip/record.h"
#include "src/core/bytes.h"
#include "src/core/limits.h"

namespace ferry::zip {

class Archive {
 public:
  // Reads the directory and every local header, no data.  After it, every record lies inside the file and has
  // a method that read() knows.  Throws Code::truncated, bad_zip, zip_disagreement, duplicate_record,
  // unsupported_container, limit_exceeded.
  static Archive open(SourcePtr source, const Limits& limits);

  // An archive of records that recover() found in a damaged one.  Throws Code::duplicate_record.
  static Archive of(SourcePtr source, std::vector<Record> records);

  // In the order of the directory.
  const std::vector<Record>& records() const { return records_; }

  // The same, given away: the archive is of no use after it.
  std::vector<Record> take_records() && { return std::move(records_); }

  // The record of exactly this name, or nullptr.  Names that are empty, hold a NUL or are no UTF-8 never
  // match: other readers would cut or translate them.
  const Record* find(std::string_view name) const;

  // The whole record, inflated, its length and CRC checked.  Throws Code::limit_exceeded, before anything is
  // allocated, when it is larger than `size_max`.  Thread-safe.
  std::vector<std::byte> read(const Record& record, std::uint64_t size_max) const;

  // Reads the whole record, in little memory: its length and CRC must be right.  Throws
  // Code::checksum_mismatch, bad_deflate.  Thread-safe.
  void check(const Record& record) const;

  const SourcePtr& source() const { return source_; }

  // Bytes before the directory that belong to no record: padding of other tools, records that were deleted.
  std::uint64_t unlisted_bytes() const { return unlisted_bytes_; }

 private:
  struct Key {
    std::uint64_t hash;  // of the name as the most careless reader sees it
    std::uint32_t record;
  };

  Archive() = default;
  void index_names();

  SourcePtr source_;
  std::vector<Record> records_;
  std::vector<Key> keys_;  // sorted by hash, then name: no choice of names makes it slow
  std::uint64_t unlisted_bytes_ = 0;
};

}  // namespace ferry::zip
