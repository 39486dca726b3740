// What was measured, kept in an HDF5 file: to be judged again with other bounds, without the checkpoints.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/cli/archive_table.h"
#include "src/cli/diff.h"
#include "src/cli/diff_file.h"
#include "src/report/difference.h"

namespace ferry::cli {

// The judgement under which everything counts that counts under any other.  What is saved is judged by it:
// rows that another one lets pass have explanations too, and the NaNs of equal pairs are known.
Judgement whatever_counts();

// A report that was judged so, as tables of an archive.
std::vector<EncodedTable> encode_measured(const report::DiffReport& report);
// Writes the archive that options.save names; with options.save_differences the checkpoints are read once
// more. Throws Code::output_exists, Code::cannot_write, Code::helper_missing.
void save_archive(std::vector<EncodedTable> measured, const report::DiffReport& report,
                  const DiffOptions& options, const structure::NameMap& names);

// Options that choose what is compared, or steer how, come too late for an archive.  Throws Code::bad_usage
// with the name of the first that was given; `verb` makes the hint.
void refuse_choices(const DiffOptions& options, std::string_view verb);

// What was saved in options.before, as it was found.  Throws Code::bad_hdf5 for a file that is no such
// archive, Code::bad_usage where it does not have what the options ask for.
report::DiffReport read_archive(const DiffOptions& options);
report::DiffReport decode_measured(const hdf5::File& file);  // the part that archives of other verbs have too

// Makes of a file as it was found the one that a comparison under this judgement gives.
void judge_again(report::FileDiff& file, const Judgement& judgement, SpectralChoice spectral);

}  // namespace ferry::cli
