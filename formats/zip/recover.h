// What a damaged or cut archive still holds.
//
// Archive::open refuses what two readers could see in two ways.  Here one reading is wanted of an archive
// that is known to be broken: the directory where it is whole, else the local headers as they come.  Which
// bytes belong to a record is only believed where its sizes say so twice; whether they are those that were
// written is for Archive::check.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "formats/zip/record.h"
#include "src/core/bytes.h"
#include "src/core/error.h"
#include "src/core/limits.h"

namespace ferry::zip {

struct BrokenRecord {
  std::string name;
  std::string why;
  std::uint64_t offset = 0;  // where it breaks
};

struct Recovered {
  std::vector<Record> records;       // that lie whole in the file, in its order
  std::vector<BrokenRecord> broken;  // that were begun or announced
  std::optional<Error> why;          // what Archive::open has against the archive; nothing: it is in order
  bool has_directory = false;        // the records are those that the directory announces
  bool has_descriptors = false;      // else: all of them, but for empty ones, have one, as PyTorch writes
};

// Reads the whole file at most once.  Throws what Archive::open throws, but for damage; that too where the
// file does not begin with a record.
Recovered recover(const SourcePtr& source, const Limits& limits);

}  // namespace ferry::zip
