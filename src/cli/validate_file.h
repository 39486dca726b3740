// One checkpoint and its conversion, checked as named steps.
#pragma once

#include <string>

#include "src/cli/diff_file.h"
#include "src/cli/forward_cases.h"
#include "src/cli/validate.h"
#include "src/core/executor.h"
#include "validators/policy/test_case.h"

namespace ferry::cli {

// What is to be checked: two files, and what is asked of them.
struct CheckTask {
  std::string name;  // of the suite
  std::string before, after;
  CheckOptions options;
  Judgement judgement;
};

struct CheckResult {
  policy::Suite suite;
  bool compared = false;            // both files could be read
  report::FileDiff measured;        // then: what the cases about structure and numbers were judged from; with
                                    // DiffOptions::judged_again, as it was found
  std::vector<DriftVerdict> drift;  // of the forward pass
};

// Whatever stops a check is one of its cases: this does not throw.
CheckResult check_file(const CheckTask& task, Executor& executor, const DiffProgress& progress);

// The cases about structure and numbers, from what was measured.
void judge_measured(const report::FileDiff& measured, const CheckOptions& options, const Judgement& judgement,
                    policy::Suite& suite);
// Leaves out the cases that are not wanted.
void drop_unwanted(const CheckOptions& options, policy::Suite& suite);

}  // namespace ferry::cli
