// Writing a checkpoint as torch.save does: plan first, then copy.
//
// The constructors decide every byte's place from the values alone; formats/copy streams the storages into
// the sink, understanding nothing, and what depends on what was copied is made after it.  Memory does not
// grow with the tensors.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/copy/copy.h"
#include "src/core/checkpoint.h"

namespace ferry::torch {

// What the provenance record says beside what the writer knows itself.
struct Provenance {
  std::string tool_version;
  std::string source_name;  // base name only
  std::uint64_t source_size = 0;
  std::vector<std::string> rules;  // identifiers of the rules that changed something
  // What was asked beyond the layout, as on the command line: "--select", "model_state".  A file that was
  // converted without such options has no "options" in its record.
  std::vector<std::string> options;
  std::string layout;  // "keep" or "clean"
};

// One object of JSON and a line feed.  Fixed in size for a given provenance: the hash always has 32 digits.
std::string provenance_text(const Provenance& provenance, std::string_view source_hash);

// As PyTorch 2.x writes: a zip archive.
class ZipFile final : public copy::File {
 public:
  // Throws what encode() throws.
  ZipFile(const Checkpoint& checkpoint, Provenance provenance);
  std::uint64_t tensor_bytes() const { return tensor_bytes_; }

  std::size_t copied_count() const override { return plan_.records.size() - kLateRecords; }
  void put_before(std::size_t i, std::uint32_t crc, std::span<std::byte> out) const override;
  void put_after(std::size_t i, std::uint32_t crc, std::span<std::byte> out) const override;
  void finish(FileSink& sink, std::vector<std::uint32_t>& crcs, std::string_view source_hash) const override;
  void verify_structure(const ByteSource& written, const std::vector<std::uint32_t>& crcs) const override;

 private:
  static constexpr std::size_t kLateRecords = 2;  // the identity and the provenance
  std::string identity(const std::vector<std::uint32_t>& crcs) const;
  void write_late(FileSink& sink, std::size_t i, std::string_view text,
                  std::vector<std::uint32_t>& crcs) const;

  Provenance provenance_;
  std::uint64_t directory_offset_ = 0, tensor_bytes_ = 0;
};

// As PyTorch 0.4 … 1.5 write: pickles one after the other, and the storages behind them.
class LegacyFile final : public copy::File {
 public:
  // Throws what encode() throws, and Code::unsupported_tensor or unsupported_value, with the path, for what
  // no PyTorch before 1.6 reads.
  explicit LegacyFile(const Checkpoint& checkpoint);
  std::uint64_t tensor_bytes() const { return tensor_bytes_; }

  // The number of elements stands before the data.
  void put_before(std::size_t i, std::uint32_t crc, std::span<std::byte> out) const override;
  void verify_structure(const ByteSource& written, const std::vector<std::uint32_t>& crcs) const override;

 private:
  std::vector<std::uint64_t> counts_;  // elements, by record
  std::uint64_t tensor_bytes_ = 0;
};

// What PyTorch before 1.2 lacks of the values: "bool, bfloat16"; empty when it has all.
std::string newer_than_1_1(const Checkpoint& checkpoint);

}  // namespace ferry::torch
