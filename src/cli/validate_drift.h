// The forward pass, run again: does the model compute with the new file what it computed with the old one?
#pragma once

#include <vector>

#include "src/cli/forward_cases.h"
#include "src/cli/validate.h"
#include "validators/policy/test_case.h"

namespace ferry::cli {

struct DriftResult {
  std::vector<DriftVerdict> verdicts;    // one for each device on which the model ran
  std::vector<policy::TestCase> others;  // what did not run, and why
};

// Runs the model with the weights of the file AFTER on every device that is asked for, or takes what the
// recorder wrote, and holds it against the golden.  Throws what concerns the golden; a run that cannot be
// made is a case.
DriftResult run_drift(const CheckOptions& options, const std::string& after);

}  // namespace ferry::cli
