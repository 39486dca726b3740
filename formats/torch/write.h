// Writing a checkpoint as PyTorch 2.x does: plan first, then copy.
//
// plan_zip decides every byte's place from the values alone; write_zip understands nothing and streams the
// pieces into the sink, computing checksums on the way; verify_zip reads the result back.  Memory does not
// grow with the tensors.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "src/core/checkpoint.h"
#include "src/core/executor.h"
#include "src/core/sink.h"

namespace ferry::torch {

// What the provenance record says beside what the writer knows itself.
struct Provenance {
  std::string tool_version;
  std::string source_name;         // base name only
  std::vector<std::string> rules;  // identifiers of the rules that changed something
  std::string layout;              // "keep" or "clean"
};

struct PlannedRecord {
  std::string name;
  std::uint64_t header_offset = 0, data_offset = 0, size = 0;
  std::uint64_t end_offset = 0;        // behind the data descriptor: where the next record begins
  std::uint32_t storage = kNoStorage;  // index into Checkpoint::storages, or
  std::vector<std::byte> made;         // bytes made by the writer
};

struct ZipPlan {
  Provenance provenance;
  std::vector<PlannedRecord> records;
  std::uint64_t directory_offset = 0, size = 0;  // of the whole file
  std::uint64_t pickle_size = 0, tensor_bytes = 0;
};

ZipPlan plan_zip(const Checkpoint& checkpoint, const Provenance& provenance);

// Computes a hash over the bytes of the source, given in order without gaps; src/hash implements it.
class SourceHash {
 public:
  virtual ~SourceHash() = default;
  virtual void update(Bytes bytes) = 0;
  virtual std::string hex() = 0;  // XXH3-128: 32 digits
};

// Called with the bytes written since the last call, from any thread.
using ProgressFunction = std::function<void(std::uint64_t)>;

struct WriteResult {
  std::vector<std::uint32_t> crcs;  // by record of the plan
  std::string source_hash;
};

// Streams the plan into the sink.  The CRC of every record of the source whose bytes are used is checked.
// Throws Code::checksum_mismatch, Code::bad_deflate, Code::source_changed, Code::cannot_write.
WriteResult write_zip(const Checkpoint& checkpoint, const ZipPlan& plan, FileSink& sink, Executor& executor,
                      SourceHash& hash, const ProgressFunction& progress);

// Reads the written file back and compares it with the plan: structure, names, sizes, places, and the CRC of
// every record, from the file and not from a buffer.  Throws Code::output_differs.
void verify_zip(const ByteSource& written, const ZipPlan& plan, const WriteResult& result,
                Executor& executor);

}  // namespace ferry::torch
