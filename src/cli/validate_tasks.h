// What is to be checked, from the command line or a policy.
#pragma once

#include <vector>

#include "src/cli/validate.h"
#include "src/cli/validate_file.h"

namespace ferry::cli {

struct CheckPlan {
  std::vector<CheckTask> tasks;           // in the order of their names, or of the policy
  std::vector<policy::Suite> complaints;  // files of folders that have no partner
};

// Throws what find_pairs throws, and Code::bad_policy.
CheckPlan plan_checks(const CheckOptions& options);

}  // namespace ferry::cli
