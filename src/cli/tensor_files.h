// The files of containers that hold named tensors, as formats/copy writes them.  Record i of the storages
// that are copied is tensor i of the specs.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "formats/copy/copy.h"
#include "formats/hdf5/skeleton.h"
#include "formats/safetensors/write.h"
#include "formats/state/state.h"
#include "formats/torch/write.h"
#include "src/core/checkpoint.h"

namespace ferry::cli {

using TensorSpecs = std::vector<safetensors::TensorSpec>;

// Where the tree of an HDF5 file is, and the attribute of its root that names the source.
inline constexpr std::string_view kStateDataset = "__torchferry__";

// A tensor as it should be found when the file is read.
struct Expected {
  std::string key;
  const safetensors::TensorSpec* spec;
  std::uint64_t offset;
};

class SafetensorsFile final : public copy::File {
 public:
  SafetensorsFile(const TensorSpecs& specs, std::span<const std::uint32_t> members,
                  std::span<const state::Alias> aliases, const torch::Provenance& provenance);
  // The header, in which the hash of the source stands.
  void finish(FileSink& sink, std::vector<std::uint32_t>& crcs, std::string_view source_hash) const override;
  void verify_structure(const ByteSource& written, const std::vector<std::uint32_t>& crcs) const override;

 private:
  safetensors::Layout layout(std::string_view source_hash) const;

  TensorSpecs specs_;
  std::vector<std::pair<std::string, std::string>> aliases_;
  torch::Provenance provenance_;
};

class NpzFile final : public copy::File {
 public:
  explicit NpzFile(TensorSpecs specs);
  // Of a member, the header of the zip and that of the array.
  void put_before(std::size_t i, std::uint32_t crc, std::span<std::byte> out) const override;
  void put_after(std::size_t i, std::uint32_t crc, std::span<std::byte> out) const override;
  void finish(FileSink& sink, std::vector<std::uint32_t>& crcs, std::string_view source_hash) const override;
  void verify_structure(const ByteSource& written, const std::vector<std::uint32_t>& crcs) const override;

 private:
  std::uint32_t member_crc(std::size_t i, std::uint32_t crc) const;

  TensorSpecs specs_;
  std::vector<std::string> headers_;
  std::uint64_t directory_offset_ = 0;
};

class Hdf5File final : public copy::File {
 public:
  Hdf5File(const Checkpoint& checkpoint, const state::Flat& flat, TensorSpecs specs,
           const torch::Provenance& provenance);
  void put_before(std::size_t i, std::uint32_t crc, std::span<std::byte> out) const override;
  void finish(FileSink& sink, std::vector<std::uint32_t>& crcs, std::string_view source_hash) const override;
  void verify_structure(const ByteSource& written, const std::vector<std::uint32_t>& crcs) const override;

 private:
  // The metadata at these bytes of the file, which are one run.
  Bytes metadata(std::uint64_t begin, std::uint64_t end) const;

  TensorSpecs specs_;
  std::vector<std::string> keys_;  // by tensor
  std::vector<ByteRange> places_;
  hdf5::Skeleton skeleton_;
  std::uint64_t hash_offset_ = 0;  // in the file
};

// A text that is made when the hash of the source is known; its size does not depend on it.
class TextFile final : public copy::File {
 public:
  using Make = std::function<std::string(std::string_view source_hash)>;
  explicit TextFile(Make make);
  std::size_t copied_count() const override { return 0; }
  void finish(FileSink& sink, std::vector<std::uint32_t>& crcs, std::string_view source_hash) const override;
  void verify_structure(const ByteSource& written, const std::vector<std::uint32_t>& crcs) const override;

 private:
  Make make_;
};

}  // namespace ferry::cli
