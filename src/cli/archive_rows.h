// What a row of a report is in an archive, and back.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/cli/archive_table.h"
#include "src/report/difference.h"

namespace ferry::cli {

struct SavedFile {
  report::FileDiff file;
};

// A file of folders without a partner.
struct SavedPath {
  std::string path;
  bool before = false;  // only there; else only in after
};

struct SavedTensor {
  std::uint64_t file = 0;        // index into /files
  std::uint64_t hull_begin = 0;  // rows of /hull
  std::uint64_t hull_count = 0;
  report::TensorRow row;
};

struct SavedValue {
  std::uint64_t file = 0;
  report::ValueRow row;
};

struct SavedTie {
  std::uint64_t file = 0;
  std::uint64_t tie = 0;  // rows of one tie have one number
  std::string path, what;
  bool before = false;
};

struct SavedRemark {
  std::uint64_t file = 0;
  bool listed = false;  // a listed change of a conversion; else a remark
  Change change;
};

std::vector<ArchiveField<SavedFile>> file_fields();
std::vector<ArchiveField<SavedPath>> unpaired_fields();
std::vector<ArchiveField<SavedTensor>> tensor_fields();
std::vector<ArchiveField<SavedTensor>> measured_fields();  // of them, what was measured
std::vector<ArchiveField<SavedValue>> value_fields();
std::vector<ArchiveField<SavedTie>> tie_fields();
std::vector<ArchiveField<SavedRemark>> remark_fields();

}  // namespace ferry::cli
