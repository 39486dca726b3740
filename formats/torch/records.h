// The records that the archives of torch.save and of torch.jit.save have in common, and where in them the
// bytes of storages lie.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "formats/zip/archive.h"
#include "src/core/checkpoint.h"
#include "src/core/limits.h"

namespace ferry::torch {

class Records {
 public:
  // Finds the folder of the one record `main` ("data.pkl").  Throws Code::missing_record, duplicate_record.
  Records(zip::Archive archive, std::string_view main);

  const zip::Archive& archive() const { return archive_; }
  const std::string& root() const { return root_; }      // "archive/"; empty when the archive has no folder
  const zip::Record* find(std::string_view name) const;  // below the root

  // Throws Code::bad_version for an archive without a version record.
  void need_version() const;
  // Version, where there is one, and byte order as their records say.  Throws Code::bad_version,
  // bad_byte_order.
  void read_header(Checkpoint& checkpoint);

  // What is known of the container but its format.
  void describe(Checkpoint& checkpoint) const;

  // The bytes of a pickle.
  std::vector<std::byte> read_program(const zip::Record& record, const Limits& limits) const;

  // Finds the bytes of a storage in the first of the folders ("data/") that has a record of its key, and says
  // which it was.  A storage without elements needs no record.  Throws Code::missing_record, bad_record_size.
  std::size_t place(Storage& storage, std::span<const std::string_view> folders) const;

  // Remarks, and how the storages are named, once all are placed.
  void look_back(Checkpoint& checkpoint) const;

  // Names and places go into the checkpoint where they are asked for, and the archive is given up: of 100,000
  // records the memory is worth having before the tensors are made.
  void give_records(Checkpoint& checkpoint, const Limits& limits);

 private:
  const zip::Record* find_version() const;
  std::string provenance() const;

  zip::Archive archive_;
  std::string root_;
  SourcePtr source_;
  bool big_endian_ = false;
};

}  // namespace ferry::torch
