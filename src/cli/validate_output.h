// Where a validation goes: the terminal, the files that were asked for, and what CI offers.
#pragma once

#include "src/cli/validate.h"
#include "validators/policy/test_case.h"

namespace ferry::cli {

// What stands in the way of the results is said before the work, given the files that are read.  Throws what
// check_outputs throws.
void check_destinations(const ValidateOptions& options, const std::vector<std::string>& inputs);

// To stdout; errors of single checkpoints and annotations of GitHub Actions to stderr.
void print_validation(const policy::ValidationReport& report, const ValidateOptions& options);

// The files that were asked for, and the job summary where GitHub Actions has one; 2 where one could not be
// written, 0 otherwise.
int save_validation(const policy::ValidationReport& report, const ValidateOptions& options);

}  // namespace ferry::cli
