// Test cases of a forward pass that was run again: one for each output of the model and each question.
#pragma once

#include <string>
#include <vector>

#include "src/core/forward_verdict.h"
#include "validators/policy/test_case.h"

namespace ferry::cli {

// What came of one device.
struct DriftVerdict {
  std::string device;  // "cpu", "cuda"
  ForwardVerdict verdict;
};

// drift.semantic.DEVICE.OUTPUT, drift.rounding.DEVICE.OUTPUT, and drift.RUN.DEVICE.OUTPUT for every run in
// reduced precision; over all inputs.  Where nothing was judged, one case that says why.
std::vector<policy::TestCase> forward_cases(const DriftVerdict& drift);

// The rows of outputs judged by other bounds, from the distances that were measured.  What failed for a
// reason that is no distance (a shape, a NaN) stays failed.
void judge_forward_again(ForwardVerdict& verdict, const ForwardBounds& bounds);

}  // namespace ferry::cli
