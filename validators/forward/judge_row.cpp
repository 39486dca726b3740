#include "validators/forward/judge_row.h"

#include <algorithm>
#include <cstdio>
#include <limits>

#include "src/core/text.h"

namespace ferry::forward {
namespace {

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

std::string times(const Yardstick& yardstick) { return short_number(yardstick.ratio()) + "×"; }

// No error is taken to be smaller.  An output that all but vanishes beside its usual size is what
// cancellation left of that: it has no size of its own.
Size floor_of(const Measured& record, const RecordScale& scale, const ForwardBounds& bounds) {
  const bool cancelled = record.reference.l2 < kUnit * scale.usual.l2;
  const Size& size = cancelled ? scale.usual : record.reference;
  return {bounds.floor * kUnit * size.l2, bounds.floor * kUnit * size.inf};
}

// A run in another precision beside the float32 run is held against the emulation only; what the float32 and
// float64 runs say of the function stands in the row of the float32 run.
bool is_beside(const Measured& record) { return record.run != "f32"; }

bool is_reduced(const Measured& record, const ForwardBounds& bounds) {
  return is_beside(record) || bounds.precision != RunPrecision::ieee;
}

class RowJudge {
 public:
  RowJudge(const Measured& record, const RecordScale& scale, const Method& method)
      : record_(record),
        scale_(scale),
        bounds_(method.bounds),
        comparable_(method.semantic && has_both64()),
        semantic_(comparable_ && !is_beside(record)) {}

  ForwardRow run() {
    describe();
    if (!record_.mismatch.empty()) {
      say(ForwardOutcome::fail, record_.mismatch);
      return std::move(row_);
    }
    row_.closeness = record_.closeness;
    row_.decisions = record_.decisions;
    if (!record_.dtype_change.empty() && !is_beside(record_))
      say(is_output() ? ForwardOutcome::fail : ForwardOutcome::warn, record_.dtype_change);
    if (record_.integral)
      judge_integers();
    else
      judge_reals();
    return std::move(row_);
  }

 private:
  bool is_output() const { return record_.kind == RecordKind::output; }
  bool has_both64() const { return record_.has_before64 && record_.has_after64; }

  void describe() {
    row_.name = record_.name;
    row_.run = record_.run;
    row_.shape = record_.shape;
    row_.dtype = record_.dtype;
  }

  // The worst outcome counts, the first reason of it comes first.
  void say(ForwardOutcome outcome, const std::string& why) {
    const auto rank = [](ForwardOutcome one) {
      return one == ForwardOutcome::not_judged ? -1 : static_cast<int>(one);
    };
    const bool worse = rank(outcome) > rank(row_.outcome);
    if (worse) row_.outcome = outcome;
    if (why.empty()) return;
    row_.why = row_.why.empty() ? why : worse ? why + "; " + row_.why : row_.why + "; " + why;
  }

  bool is_marked() const {
    return std::any_of(
        bounds_.unstable_outputs.begin(), bounds_.unstable_outputs.end(),
        [&](const std::string& glob) { return is_output() && glob_match(glob, record_.name.output); });
  }

  void judge_integers() {
    if (record_.tied)
      return say(ForwardOutcome::pass,
                 elements(record_.differing64) +
                     " differ in float64, and the real numbers after them do not: equal "
                     "keys may come in either order");
    if (semantic_ && record_.differing64 > 0)
      return say(ForwardOutcome::fail,
                 "another function: " + elements(record_.differing64) + " differ in float64");
    if (record_.differing == 0) return say(ForwardOutcome::pass, "");
    const bool same = comparable_ && record_.differing64 == 0;
    row_.unstable = same || is_marked();
    if (row_.unstable)
      return say(ForwardOutcome::warn,
                 "unstable: " + elements(record_.differing) + " differ, where rounding turns a decision; " +
                     (same ? "in float64 all are equal" : "the output is marked as such"));
    say(is_output() ? ForwardOutcome::fail : ForwardOutcome::warn, elements(record_.differing) + " differ");
  }

  std::string elements(std::uint64_t count) const {
    return grouped(count) + " of " + grouped(record_.closeness.elements) + " elements";
  }

  void judge_reals() {
    if (semantic_) judge_semantic();
    if (record_.mismatches > 0)
      say(ForwardOutcome::fail,
          elements(record_.mismatches) + " are not finite on one side only, or not the same");
    find_instability();
    const bool reduced = is_reduced(record_, bounds_);
    if (!is_beside(record_) && (record_.has_before64 || record_.has_after64)) judge_rounding(reduced);
    if (reduced) judge_reduced();
    if (row_.outcome == ForwardOutcome::not_judged && row_.why.empty())
      row_.why = "there is no float64 run to tell rounding from change";
  }

  void judge_semantic() {
    row_.semantic = semantic_yardstick(record_, scale_, bounds_);
    if (record_.mismatches64 > 0)
      say(ForwardOutcome::fail, "another function: in float64 " + elements(record_.mismatches64) +
                                    " are not finite on one side only, or not the same");
    if (row_.semantic->within()) return say(ForwardOutcome::pass, "");
    say(ForwardOutcome::fail, "another function: the float64 runs differ by " +
                                  short_number(record_.semantic.l2) + ", " + times(*row_.semantic) +
                                  " what rounding of doubles explains");
  }

  // What hangs on decisions can be told only where the function is known to be the same, or where the new
  // side alone shows it.
  void find_instability() {
    const bool same =
        comparable_ && record_.mismatches64 == 0 && semantic_yardstick(record_, scale_, bounds_).within();
    const double relative = relative_error(record_);
    const bool turned =
        same && scale_.inputs >= 3 && relative > bounds_.unstable * std::max(scale_.usual_error, kUnit);
    const std::uint64_t outliers =
        std::max({record_.outliers_after, record_.outliers_perturbed, same ? record_.outliers_before : 0});
    row_.unstable = is_marked() || turned || outliers > 0 || (same && record_.turned_input);
  }

  void judge_rounding(bool reduced) {
    const Size floor = floor_of(record_, scale_, bounds_);
    const Size after = scale_.after.at(record_, record_.after_error, floor);
    const Size before = scale_.before.at(record_, record_.before_error, floor);
    // A run with rounded operands is no yardstick for one without.
    const bool by_before = !record_.has_after64 || (reduced && record_.has_before64);
    Size error = by_before ? before : after;
    error.inf = std::max(error.inf, record_.repeat_max_abs);
    row_.rounding = Yardstick{record_.rounding.l2, error.l2, bounds_.rounding};
    row_.rounding_inf = Yardstick{record_.rounding.inf, error.inf, bounds_.rounding_inf};
    judge_yardstick(*row_.rounding, bounds_.rounding_warn, "the old run is", "its own rounding error");
    judge_yardstick(*row_.rounding_inf, bounds_.rounding_inf_warn, "the worst element of the old run is",
                    "its own rounding error");
    if (!semantic_ || reduced) return;
    row_.before_error = Yardstick{record_.before_error.l2, after.l2, bounds_.sides};
    row_.after_error = Yardstick{record_.after_error.l2, before.l2, bounds_.sides};
    judge_yardstick(*row_.before_error, bounds_.sides, "the rounding of the old run is",
                    "that of the new one");
    judge_yardstick(*row_.after_error, bounds_.sides, "the rounding of the new run is",
                    "that of the old one");
  }

  void judge_yardstick(const Yardstick& yardstick, double warn_from, std::string_view what,
                       std::string_view unit) {
    const double ratio = yardstick.ratio();
    if (ratio <= warn_from && yardstick.within()) return say(ForwardOutcome::pass, "");
    const std::string why = std::string(what) + " " + times(yardstick) + " " + std::string(unit);
    if (yardstick.within()) return say(ForwardOutcome::warn, why);
    if (row_.unstable)
      return say(ForwardOutcome::warn, "unstable: " + why + ", where rounding turns a decision");
    say(is_output() ? ForwardOutcome::fail : ForwardOutcome::warn, why);
  }

  void judge_reduced() {
    if (!record_.emulated)
      return say(
          row_.outcome == ForwardOutcome::not_judged ? ForwardOutcome::not_judged : ForwardOutcome::warn,
          "there is no run with operands rounded alike to hold it against");
    const Size emulated = scale_.emulated.at(record_, *record_.emulated, floor_of(record_, scale_, bounds_));
    row_.reduced = Yardstick{record_.after_error.l2, emulated.l2, bounds_.reduced};
    row_.reduced_inf = Yardstick{record_.after_error.inf, emulated.inf, bounds_.reduced_inf};
    judge_yardstick(*row_.reduced, bounds_.reduced, "the run is", "what rounded operands explain");
    judge_yardstick(*row_.reduced_inf, bounds_.reduced_inf, "the worst element of the run is",
                    "what rounded operands explain");
  }

  const Measured& record_;
  const RecordScale& scale_;
  const ForwardBounds& bounds_;
  const bool comparable_;  // the float64 runs tell whether it is the same function
  const bool semantic_;    // and it is told in this row
  ForwardRow row_;
};

}  // namespace

Yardstick semantic_yardstick(const Measured& record, const RecordScale& scale, const ForwardBounds& bounds) {
  // Rounded operands widen e, and must not widen this.
  const Size& error = is_reduced(record, bounds) ? record.before_error : record.after_error;
  const double floor = floor_of(record, scale, bounds).l2;
  return {record.semantic.l2, std::max(error.l2, floor) * kDoubleRatio, bounds.semantic};
}

ForwardRow judge_row(const Measured& record, const RecordScale& scale, const Method& method) {
  return RowJudge(record, scale, method).run();
}

Divergence divergence_of(const Measured& record, const RecordScale& scale, const Method& method) {
  constexpr double kFar = std::numeric_limits<double>::infinity();
  if (!record.mismatch.empty()) return {true, {kFar, 0, 0}};
  if (method.semantic && record.has_before64 && record.has_after64) {
    if (record.tied) return {};
    if (record.integral) return {record.differing64 > 0, {static_cast<double>(record.differing64), 0, 0}};
    const Yardstick distance = semantic_yardstick(record, scale, method.bounds);
    return {record.mismatches64 > 0 || !distance.within(), distance};
  }
  if (record.integral) return {record.differing > 0, {static_cast<double>(record.differing), 0, 0}};
  if (!record.has_before64 && !record.has_after64) return {record.mismatches > 0, {}};
  const double own = record.has_after64 ? record.after_error.l2 : record.before_error.l2;
  const Yardstick distance{record.rounding.l2, std::max(own, kUnit * record.reference.l2),
                           method.bounds.divergence};
  return {record.mismatches > 0 || !distance.within(), distance};
}

}  // namespace ferry::forward
