// The two tables of a tar checkpoint (PyTorch ≤ 0.1.9): which storages and tensors there are, by the numbers
// that the main pickle knows them by.
//
// FORMAT.md has the byte tables and their sources.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "formats/torch/losses.h"
#include "formats/torch/storages.h"
#include "src/core/limits.h"

namespace ferry::torch {

// What a number of the main pickle means.
struct TarObject {
  enum class Kind : std::uint8_t { storage, tensor } kind;
  std::uint32_t index;  // into StorageTable::views() or Checkpoint::tensors
};

class TarTables {
 public:
  // `losses`: storages that are cut or missing are noted there instead of ending it; nullptr: nothing may be
  // missing.
  TarTables(Checkpoint& checkpoint, StorageTable& storages, const Limits& limits, Losses* losses)
      : checkpoint_(checkpoint), storages_(storages), limits_(limits), losses_(losses) {}

  // `part` holds the bytes of the member that are there; `begin` is where they lie in the file.
  // Throws Code::bad_tar, bad_storage, bad_tensor, truncated, unsafe_global.
  void read_storages(const ByteSource& part, std::uint64_t begin);
  void read_tensors(const ByteSource& part);

  const TarObject* find(const std::string& number) const;
  // A storage that lies behind the place where the archive breaks: lost; returns its view.
  std::uint32_t view_of_missing(const std::string& number, DType dtype);

 private:
  struct Entry;  // one row of a table: the pickle of a few values

  Entry read_entry(const ByteSource& part, std::uint64_t& at, const char* what);
  std::int64_t read_count(const ByteSource& part, std::uint64_t& at, const char* what);
  void read_storage(const ByteSource& part, std::uint64_t begin, std::uint64_t& at);
  void read_views(const ByteSource& part, std::uint64_t& at);
  void read_tensor(const ByteSource& part, std::uint64_t& at);
  void add(std::string number, TarObject object, std::uint64_t at);

  Checkpoint& checkpoint_;
  StorageTable& storages_;
  const Limits& limits_;
  Losses* losses_;
  std::unordered_map<std::string, TarObject> objects_;
};

// Numbers as texts: 12, '12' and "012" are one, as int() has it.  nullopt for values that are no number.
std::optional<std::string> tar_number(const ValueGraph& graph, NodeId id);

}  // namespace ferry::torch
