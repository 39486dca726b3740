// What a validation is in an archive, and back.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/cli/archive_table.h"
#include "src/cli/forward_cases.h"
#include "validators/policy/test_case.h"

namespace ferry::cli {

inline constexpr std::uint64_t kNotCompared = ~std::uint64_t{0};

struct SavedSuite {
  std::string name, before, after;
  std::uint64_t measured = kNotCompared;  // index into /files
};

struct SavedCase {
  std::uint64_t suite = 0;
  policy::TestCase one;
};

struct SavedDetail {
  std::uint64_t of = 0;  // index into /cases
  bool is_cause = false;
  std::string subject, what;
};

// A forward pass on one device, without its rows.
struct SavedDrift {
  std::uint64_t suite = 0;
  DriftVerdict drift;
};

struct SavedOutput {
  std::uint64_t drift = 0;  // index into /drifts
  ForwardRow row;
};

struct SavedCause {
  std::uint64_t drift = 0;
  LikelyCause cause;
};

struct SavedChecks {
  std::vector<SavedSuite> suites;
  std::vector<SavedCase> cases;
  std::vector<SavedDetail> details;
  std::vector<SavedDrift> drifts;
  std::vector<SavedOutput> outputs;
  std::vector<SavedCause> causes;
};

std::vector<ArchiveField<SavedSuite>> suite_fields();
std::vector<ArchiveField<SavedCase>> case_fields();
std::vector<ArchiveField<SavedDetail>> detail_fields();
std::vector<ArchiveField<SavedDrift>> drift_fields();
std::vector<ArchiveField<SavedOutput>> output_fields();
std::vector<ArchiveField<SavedCause>> cause_fields();

}  // namespace ferry::cli
