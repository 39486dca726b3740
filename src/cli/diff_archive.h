// What was measured, kept in an HDF5 file: to be judged again with other bounds, without the checkpoints.
#pragma once

#include <string>
#include <vector>

#include "src/cli/archive_table.h"
#include "src/cli/diff.h"
#include "src/cli/diff_file.h"
#include "src/report/difference.h"

namespace ferry::cli {

// Writes the archive that options.save names; with options.save_differences the checkpoints are read once
// more. Throws Code::output_exists, Code::cannot_write, Code::helper_missing.
void save_archive(const report::DiffReport& report, const DiffOptions& options,
                  const structure::NameMap& names);

// The report of what was saved, under other bounds.  Throws Code::bad_hdf5 for a file that is no such
// archive.
report::DiffReport judge_archive(const std::string& path, const Judgement& judgement);

// The parts that archives of other verbs have too: the tables of what was measured …
std::vector<EncodedTable> encode_measured(const report::DiffReport& report);
// … their reports as they were saved, judged as they were then …
report::DiffReport decode_measured(const hdf5::File& file);
// … and judged again: what was once allowed stands as it was found, until it is allowed again.
void judge_again(report::FileDiff& file, const Judgement& judgement);

}  // namespace ferry::cli
