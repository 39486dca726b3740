// Checks as test cases: what a validation is made of, and the exit code that follows from it.
//
// A case fails when the check was made and the answer is no; it is an error when the check could not be made
// although it had to be; it is skipped, with a reason, when it does not apply or its means are missing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/change_log.h"
#include "src/core/error.h"

namespace ferry::policy {

enum class CaseStatus : std::uint8_t { passed, failed, error, skipped };
std::string_view status_name(CaseStatus status);  // "passed"

// Names of cases: stable, part of the contract with users.  Drift cases carry the run and the device behind
// them: "drift.rounding[cuda]".
inline constexpr std::string_view kOpens = "opens", kLoadsWeightsOnly = "loads.weights_only",
                                  kLoadsMmap = "loads.mmap", kStructureChanges = "structure.changes",
                                  kTensorsEqual = "tensors.bit_equal",
                                  kTensorsWithin = "tensors.within_bounds", kOptimizerFits = "optimizer.fits",
                                  kScalerLoads = "scaler.loads", kDrift = "drift";

// One line of what a case found.
struct CaseDetail {
  std::string subject;  // a dotted path, a file; may be empty
  std::string what;
};

struct TestCase {
  std::string name;
  CaseStatus status = CaseStatus::passed;
  Code code = Code::internal;  // of failed cases and errors: which kind of finding it is
  std::string message;         // one sentence: what was found, why it failed, why it was skipped
  std::vector<CaseDetail> details;
  std::size_t details_left_out = 0;  // beyond kDetailsMost
  std::vector<std::string> causes;   // what is likely behind a failure, the likeliest first
  std::optional<Error> error;        // of status error
};

inline constexpr std::size_t kDetailsMost = 200;
// Adds a detail, or counts it where there are enough of them already.
void add_detail(TestCase& one, std::string subject, std::string what);

TestCase passed(std::string_view name, std::string message);
TestCase failed(std::string_view name, Code code, std::string message);
TestCase skipped(std::string_view name, std::string reason);
TestCase stopped(std::string_view name, const Error& error);

// All cases of one checkpoint.
struct Suite {
  std::string name;            // the path below a folder, or the file's own name; unique in a report
  std::string before, after;   // paths as given
  std::vector<Change> listed;  // what the conversion is known to change, and did
  std::vector<TestCase> cases;
};

struct ValidationReport {
  std::string version;  // of torchferry
  std::string bounds;   // what tensors were judged by, in words; of a policy, where all have the same
  std::vector<Suite> suites;
};

struct CaseTotals {
  std::size_t passed = 0, failed = 0, errors = 0, skipped = 0;
  std::size_t all() const { return passed + failed + errors + skipped; }
};
CaseTotals totals(const Suite& suite);
CaseTotals totals(const ValidationReport& report);

// 0 all passed or skipped; 1 any failed; 2 something could not be done; 3 something was refused.
int exit_code(const TestCase& one);
int exit_code(const Suite& suite);
int exit_code(const ValidationReport& report);  // 2 when there is no case at all: nothing was shown

}  // namespace ferry::policy
