// Copying storages into a planned file: which bytes go where was decided before, and nothing here knows what
// container it is.
//
// A plan is a list of records in the order of the file.  The data of a record are bytes made by the writer or
// the kept bytes of one storage; what stands around it is asked of the file when the data's CRC-32 is known.
//
//   … | before: [begin, data_offset) | data: size bytes | after: [data end, end) | …
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "src/core/checkpoint.h"
#include "src/core/executor.h"
#include "src/core/sink.h"

namespace ferry::copy {

struct Record {
  std::string name;  // for messages
  std::uint64_t begin = 0, data_offset = 0, size = 0, end = 0;
  std::uint32_t storage = kNoStorage;  // index into the storages that are copied, or
  std::vector<std::byte> made;         // bytes made by the writer
};

struct Plan {
  std::vector<Record> records;  // in order and apart from each other
  std::uint64_t size = 0;       // of the whole file
};

// Computes a hash over the bytes of the source, given in order without gaps; src/hash implements it.
class SourceHash {
 public:
  virtual ~SourceHash() = default;
  virtual void update(Bytes bytes) = 0;
  virtual std::string hex() = 0;  // XXH3-128: 32 digits
};

// Called with the bytes written since the last call, from any thread.
using ProgressFunction = std::function<void(std::uint64_t)>;

// A file that is to be written: its plan, and the parts of it that depend on what was copied.
class File {
 public:
  virtual ~File() = default;
  const Plan& plan() const { return plan_; }

  // How many records are copied: the others, at the end of the list, are written by finish().
  virtual std::size_t copied_count() const { return plan_.records.size(); }
  // Fill just what stands around the data of record `i`; thread-safe.  Whatever is not filled is zero.
  virtual void put_before(std::size_t i, std::uint32_t crc, std::span<std::byte> out) const;
  virtual void put_after(std::size_t i, std::uint32_t crc, std::span<std::byte> out) const;
  // Writes what lies behind the copied records or was left out, when all else of the run is known.  `crcs`
  // has a place for each record, those of the copied ones filled.
  virtual void finish(FileSink& sink, std::vector<std::uint32_t>& crcs, std::string_view source_hash) const;
  // Compares the written file with the plan as far as its structure goes, by reading it as anyone would; the
  // bytes of the records are compared by verify_records.  Throws Code::output_differs.
  virtual void verify_structure(const ByteSource& written, const std::vector<std::uint32_t>& crcs) const = 0;

 protected:
  Plan plan_;
};

class SourceTap;

// Streams the records of the plan into the sink and returns their CRCs.  The CRC of every record of the
// source whose bytes are used is checked.  `tap` may have served other runs before.  Throws
// Code::checksum_mismatch, Code::bad_deflate, Code::source_changed, Code::cannot_write.
std::vector<std::uint32_t> copy_records(std::span<const Storage> storages, const File& file, FileSink& sink,
                                        Executor& executor, SourceTap& tap, const ProgressFunction& progress);

// Reads every record back, from the file and not from a buffer, and compares its CRC; the size of the file
// too.  Throws Code::output_differs.
void verify_records(const ByteSource& written, const Plan& plan, const std::vector<std::uint32_t>& crcs,
                    Executor& executor);

[[noreturn]] void fail_verification(const std::string& what, const std::string& record);

}  // namespace ferry::copy
