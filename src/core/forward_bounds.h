// How far two runs of one model may be apart before they are two models.
//
// Of one recorded array, for one input: y is the float32 run, z the float64 run, e = y − z the rounding error
// of the run itself, u = 2^-24, ‖·‖ the 2-norm over its finite elements.  `before` is the old environment.
//
// * semantic: ‖z_before − z_after‖ against max(‖e‖, floor · u · ‖z‖) · 2^-29.  Both sides in double: what is
// left of a
//   difference is no rounding.  2^-29 = 2^-53 / 2^-24 carries the measured conditioning of the model from
//   float32 to double.
// * rounding: ‖y_before − z_after‖ against E, the largest ‖e‖ of that record over the inputs (or the floor).
// * reduced precision: ‖y_after − z_after‖ against the error of a run whose operands were rounded the same
// way.
//
// The constants are measured, not chosen (float32 runs of five models in three versions of PyTorch on six
// configurations of a CPU, and 51 faults): honest runs were at most at 2.25 (semantic), 2.28 (rounding,
// 2-norm) and 3.57 (largest element), the smallest fault at 7.0e8 (semantic) and 1.56 (rounding: a single
// weight × 1.001, which is below the noise of float32 and which only the semantic test sees).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

// What the float32 run of the new side may have rounded operands of products to.
enum class RunPrecision : std::uint8_t { ieee, tf32, bf16, fp16 };

struct ForwardBounds {
  double semantic = 1024;
  double rounding = 4, rounding_warn = 2;          // × E, 2-norm; from the second on it is a warning
  double rounding_inf = 8, rounding_inf_warn = 4;  // × E∞, largest element
  double sides = 4;  // the rounding error of one side is at most this many times that of the other
  double floor = 4;  // · u · ‖z‖: no error is taken to be smaller, a lucky run is no yardstick
  double reduced = 4, reduced_inf = 8;  // × the error of the emulated run
  // Where there is no second float64 run, a module diverges when it is this many times its own rounding error
  // away: for naming the first one, not for the verdict.
  double divergence = 32;
  // An element this many times farther from the float64 run than the median element hangs on a decision
  // (argmin, top-k, a threshold) that rounding may turn; so does an output whose error is so much larger on
  // one input than on the median input.
  double unstable = 1024;
  // A model that computes in float32 inside has float64 runs that differ by about ‖e‖: by this much at least
  // and at most, on every output and input.
  double contaminated_least = 1.0 / 64, contaminated_most = 16;
  std::size_t top_k = 5;                        // of decisions, beside the first
  RunPrecision precision = RunPrecision::ieee;  // of the new side's float32 run
  std::vector<std::string> unstable_outputs;    // globs over output paths that are known to hang on decisions
};

std::string_view precision_name(RunPrecision precision);  // "ieee", "tf32" …

}  // namespace ferry
