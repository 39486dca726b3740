// One record on both sides, measured: everything that judging needs, without the numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/core/forward_verdict.h"
#include "validators/forward/evidence.h"
#include "validators/forward/measure.h"

namespace ferry::forward {

inline constexpr double kUnit = 0x1p-24;         // unit roundoff of float32
inline constexpr double kDoubleRatio = 0x1p-29;  // of the unit roundoffs: 2^-53 / 2^-24

enum class RecordKind : std::uint8_t { output, module, op };

struct Measured {
  RecordKind kind = RecordKind::output;
  RecordName name;
  std::string run;        // that is judged, of the new side
  std::size_t input = 0;  // index into Pairing::cases
  bool edge = false;
  std::uint32_t occurrence = 0;  // of operations: the n-th of its name in this call of the module
  std::vector<std::int64_t> shape;
  std::string dtype;
  bool integral = false;  // integers and truth values: equal or not
  // What cannot be compared and why: "shape [2, 3] became [2, 4]".  Nothing else is known then.
  std::string mismatch;
  std::string dtype_change;  // "float32 became float16"

  // y: the judged run, z: the float64 run.
  bool has_before64 = false, has_after64 = false;
  Size reference;                  // ‖z_after‖, without it ‖z_before‖, without both ‖y_before‖
  Size semantic;                   // z_before − z_after
  Size rounding;                   // y_before − z
  Size before_error, after_error;  // y − z of each side
  std::optional<Size>
      emulated;  // error of runs with rounded operands: the largest of those that stand for this one
  std::uint64_t mismatches = 0, mismatches64 = 0;  // non-finite against something else
  std::uint64_t differing = 0, differing64 = 0;    // elements that are not equal
  std::uint64_t outliers_before = 0, outliers_after = 0,
                outliers_perturbed = 0;  // elements that hang on decisions
  // Of integers: elements that the old float32 run, or the judged run, has otherwise than its float64 run.
  std::uint64_t turned = 0;
  // Integers inside the model that differ in float64, too, where the real numbers of the next call do not:
  // equal keys that were ordered otherwise.
  bool tied = false;
  bool turned_input = false;  // some decision of this input is turned by rounding, of this record or another
  double repeat_max_abs = 0;  // how far repeats of a run were apart, on either side
  Closeness closeness;
  std::optional<Decisions> decisions;
};

// The cases that both sides have, by index on each.
struct CasePair {
  std::size_t before = 0, after = 0;
  std::string name;
  bool edge = false;
  std::string mismatch;  // the inputs are not the same: nothing can be compared
};

struct Pairing {
  std::vector<CasePair> cases;
  std::vector<std::string> only_before, only_after;  // names of cases
};

// Cases meet by name, equal names in their order.  Inputs are compared where both sides have them: element by
// element.
Pairing pair_cases(const ForwardEvidence& evidence);

// What one case has to say, record by record: outputs of every judged run, then modules and operations of the
// float32 run in the order in which the new side completed them.  Numbers are read for one record at a time.
struct CaseMeasures {
  std::vector<Measured> records;
  std::vector<RecordName> only_before, only_after;  // modules
};
CaseMeasures measure_case(const ForwardEvidence& evidence, const ForwardBounds& bounds,
                          const Pairing& pairing, std::size_t input);

bool is_integral(std::string_view dtype);

}  // namespace ferry::forward
