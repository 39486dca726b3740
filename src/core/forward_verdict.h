// What came of holding a new run of a model against an old one: validators/forward makes it, reports print
// it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/forward_bounds.h"
#include "src/core/known_change.h"

namespace ferry {

enum class ForwardOutcome : std::uint8_t { pass, warn, fail, not_judged };
std::string_view outcome_name(ForwardOutcome outcome);  // "pass", "warn", "fail", "not judged"

// A distance, what it is measured in, and how many of that are allowed.
struct Yardstick {
  double distance = 0, unit = 0, limit = 0;
  double ratio() const {
    return distance == 0 ? 0 : unit > 0 ? distance / unit : std::numeric_limits<double>::infinity();
  }
  bool within() const { return ratio() <= limit; }
};

// How near two arrays are to each other in words that people know; over pairs of finite numbers.
struct Closeness {
  std::uint64_t elements = 0;
  double max_abs = 0;
  double cosine = 1;    // NaN when one side is zero
  double snr_db = 0;    // infinite when nothing differs
  double relative = 0;  // ‖before − after‖ / ‖before‖; infinite when only before is zero
  std::uint64_t nonfinite_before = 0, nonfinite_after = 0;
  std::uint64_t nonfinite_mismatches =
      0;  // pairs of which one is no finite number and the other is another thing
};

// Which class, which token: the largest of every row along one axis.
struct Decisions {
  std::size_t axis = 0, top_k = 0;
  std::uint64_t rows = 0;
  std::uint64_t equal = 0;        // rows whose largest element is at the same index
  std::uint64_t top_k_equal = 0;  // rows whose k largest are at the same indices, in any order
  std::uint64_t ties = 0;  // of the rows that are not equal, those where rounding alone may turn the decision
};

// What a row is about: an output of the model, of a module or of an operation.
struct RecordName {
  std::string module, cls;  // dotted path, empty for the root; class
  std::uint32_t call = 0;
  std::string op, source;  // of operations only
  std::string output;      // flattened path
};

struct ForwardRow {
  RecordName name;
  std::string run;        // the run that is judged: "f32", "autocast-bf16"
  std::string input;      // name of the case; of a module, of the worst one
  std::size_t cases = 1;  // on how many inputs it was judged; `failed` of them
  std::size_t failed = 0;
  std::vector<std::int64_t> shape;
  std::string dtype;
  ForwardOutcome outcome = ForwardOutcome::not_judged;
  std::string why;  // empty for pass
  std::optional<Yardstick> semantic, rounding, rounding_inf;
  std::optional<Yardstick> before_error, after_error;  // each side's own rounding, in units of the other's
  std::optional<Yardstick> reduced, reduced_inf;
  std::optional<Closeness> closeness;
  std::optional<Decisions> decisions;
  bool unstable = false;  // it hangs on decisions that rounding turns: not judged by rounding
};

// The first record, in the order in which modules returned, that is not the same function of the input.
struct FirstDivergence {
  RecordName name;
  std::string enclosing,
      enclosing_cls;  // the module around it: what it does between its children may be at fault
  bool has_enclosing = false;
  bool by_float64 = false;  // the two float64 runs say so; otherwise the distance from rounding
  Yardstick distance;
  std::vector<std::string> inputs;  // names of the cases on which it is the first
  std::string last_agreeing;        // path of the record before it; may be empty
};

struct ForwardSide {
  std::string path, model, writer, torch, device;
};

struct ForwardVerdict {
  ForwardOutcome outcome = ForwardOutcome::not_judged;
  ForwardSide before, after;
  ForwardBounds bounds;
  bool semantic = false;            // the verdict rests on two float64 runs
  std::string semantic_why;         // why not
  std::size_t cases = 0;            // inputs that both sides have
  std::vector<ForwardRow> outputs;  // by case, run and output
  std::vector<ForwardRow> modules;  // one for each, its worst case; in the order of completion
  std::vector<ForwardRow> ops;      // the same
  std::vector<RecordName> only_before, only_after;  // modules that one side has only; no fault by itself
  std::optional<FirstDivergence> first_module, first_op;
  std::size_t weights_compared = 0;
  std::vector<std::string> weights_differing;
  std::vector<std::string> warnings;
  std::vector<LikelyCause> causes;  // the most likely first

  std::size_t count(ForwardOutcome which) const;  // of outputs
};

}  // namespace ferry
