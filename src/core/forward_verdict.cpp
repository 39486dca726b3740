#include "src/core/forward_verdict.h"

#include <algorithm>

namespace ferry {

std::string_view precision_name(RunPrecision precision) {
  switch (precision) {
    case RunPrecision::ieee:
      return "ieee";
    case RunPrecision::tf32:
      return "tf32";
    case RunPrecision::bf16:
      return "bf16";
    case RunPrecision::fp16:
      return "fp16";
  }
  return "";
}

std::string_view change_kind_name(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::value:
      return "value";
    case ChangeKind::rounding:
      return "rounding";
    case ChangeKind::index:
      return "index";
    case ChangeKind::shape:
      return "shape";
    case ChangeKind::dtype:
      return "dtype";
    case ChangeKind::error:
      return "error";
  }
  return "";
}

std::string_view outcome_name(ForwardOutcome outcome) {
  switch (outcome) {
    case ForwardOutcome::pass:
      return "pass";
    case ForwardOutcome::warn:
      return "warn";
    case ForwardOutcome::fail:
      return "fail";
    case ForwardOutcome::not_judged:
      return "not judged";
  }
  return "";
}

std::size_t ForwardVerdict::count(ForwardOutcome which) const {
  return static_cast<std::size_t>(std::count_if(outputs.begin(), outputs.end(),
                                                [&](const ForwardRow& row) { return row.outcome == which; }));
}

}  // namespace ferry
