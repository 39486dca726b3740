// What a validation measured, kept in an HDF5 file: to be judged again with other bounds, without the
// checkpoints, the model and the golden.
#pragma once

#include <string>
#include <vector>

#include "src/cli/validate.h"
#include "src/cli/validate_file.h"

namespace ferry::cli {

// Throws Code::output_exists, Code::cannot_write, Code::limit_exceeded.
void save_validation_archive(const std::vector<CheckResult>& results, const std::string& path, bool force);

// Results as they were saved, their cases about structure, numbers and drift judged by the options.  Throws
// Code::bad_hdf5 for a file that is no such archive, Code::helper_missing.
std::vector<CheckResult> judge_validation_archive(const CheckOptions& options);

}  // namespace ferry::cli
