#include "validators/forward/judge.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "src/core/text.h"
#include "validators/forward/divergence.h"
#include "validators/forward/judge_row.h"
#include "validators/forward/likely_causes.h"
#include "validators/forward/measured.h"
#include "validators/forward/scales.h"

namespace ferry::forward {
namespace {

constexpr std::size_t kCausesMax = 5;

int rank(ForwardOutcome outcome) {
  return outcome == ForwardOutcome::not_judged ? 1 : 2 * static_cast<int>(outcome);
}

ForwardOutcome worse(ForwardOutcome a, ForwardOutcome b) { return rank(a) >= rank(b) ? a : b; }

ForwardSide side_of(const Golden& golden) {
  ForwardSide side;
  side.model = golden.model;
  side.writer = golden.writer;
  side.torch = golden.environment("torch");
  side.device = golden.environment("device");
  return side;
}

// Why the float64 runs of one side say nothing about the function; empty: they do.
std::string float64_problem(const Golden& golden, std::string_view side) {
  if (!golden.f64.empty() && !golden.f64.starts_with("ok")) return std::string(side) + ": " + golden.f64;
  bool any = false;
  for (const GoldenCase& one : golden.cases) {
    const GoldenRun* const run = one.run("f64");
    if (run == nullptr || !run->error.empty()) continue;
    any = true;
    for (const GoldenOutput& output : run->outputs)
      if (output.tensor.dtype == "float32" || output.tensor.dtype == "complex64")
        return std::string(side) + ": contaminated: the output " + quote(output.path) +
               " of the float64 run is " + output.tensor.dtype;
  }
  return any ? "" : std::string(side) + ": there is no float64 run";
}

class ForwardJudge {
 public:
  ForwardJudge(const ForwardEvidence& evidence, const ForwardBounds& bounds)
      : evidence_(evidence), bounds_(bounds) {}

  ForwardVerdict run() {
    verdict_.before = side_of(evidence_.before);
    verdict_.after = side_of(evidence_.after);
    verdict_.bounds = bounds_;
    compare_weights();
    measure();
    choose_method();
    mark_ties();
    judge();
    localise();
    find_causes();
    conclude();
    return std::move(verdict_);
  }

 private:
  void compare_weights() {
    std::map<std::string_view, const GoldenWeight*> before;
    for (const GoldenWeight& weight : evidence_.before.weights) before.emplace(weight.name, &weight);
    for (const GoldenWeight& weight : evidence_.after.weights) {
      const auto partner = before.find(weight.name);
      if (partner == before.end() || weight.sha256.empty() || partner->second->sha256.empty()) continue;
      ++verdict_.weights_compared;
      if (weight.sha256 != partner->second->sha256) verdict_.weights_differing.push_back(weight.name);
    }
  }

  void measure() {
    pairing_ = pair_cases(evidence_);
    verdict_.cases = pairing_.cases.size();
    for (std::size_t input = 0; input < pairing_.cases.size(); ++input) {
      if (!pairing_.cases[input].mismatch.empty()) {
        Measured& one = records_.emplace_back();
        one.run = "f32";
        one.input = input;
        one.mismatch = "the inputs are not the same: " + pairing_.cases[input].mismatch;
        continue;
      }
      CaseMeasures found = measure_case(evidence_, bounds_, pairing_, input);
      std::move(found.records.begin(), found.records.end(), std::back_inserter(records_));
      add_unmatched(found.only_before, verdict_.only_before);
      add_unmatched(found.only_after, verdict_.only_after);
    }
    mark_turned_inputs();
    scales_.emplace(records_);
  }

  // An argmin that falls otherwise in float32 changes all that comes after it.
  void mark_turned_inputs() {
    // By run: fewer bits turn more decisions, and excuse nothing in float32.
    std::set<std::pair<std::string, std::size_t>> turned;
    for (const Measured& record : records_)
      if (record.turned > 0) turned.emplace(record.run, record.input);
    for (Measured& record : records_)
      record.turned_input =
          turned.contains({"f32", record.input}) || turned.contains({record.run, record.input});
  }

  // Of all cases, each module once.
  static void add_unmatched(std::vector<RecordName>& found, std::vector<RecordName>& into) {
    for (RecordName& name : found) {
      const bool known = std::any_of(into.begin(), into.end(), [&](const RecordName& one) {
        return one.module == name.module && one.call == name.call && one.output == name.output;
      });
      if (!known) into.push_back(std::move(name));
    }
  }

  // Whether the float64 runs can be held against each other.
  void choose_method() {
    std::string problem = float64_problem(evidence_.before, "before");
    if (problem.empty()) problem = float64_problem(evidence_.after, "after");
    verdict_.semantic = problem.empty();
    if (verdict_.semantic && looks_contaminated()) {
      problem =
          "the float64 runs differ everywhere by about what float32 rounds, and the weights are equal: the "
          "model "
          "computes in float32 inside";
      verdict_.semantic = false;
    }
    verdict_.semantic_why = problem;
  }

  // Real numbers of one call of a module or an operation, where the call is the first after another one.
  struct Call {
    std::tuple<std::string, std::uint32_t, std::string, std::uint32_t> name;
    bool agrees = true;
  };

  // Which of several equally near neighbours comes first is left to the library.  Integers inside the model
  // count only where the real numbers of the next call on the same input differ, too; outputs always count.
  void mark_ties() {
    if (!verdict_.semantic) return;
    std::map<std::pair<std::size_t, RecordKind>, std::array<std::optional<Call>, 2>>
        next;  // the nearer first
    for (auto record = records_.rbegin(); record != records_.rend(); ++record) {
      if (record->kind == RecordKind::output) continue;
      auto& calls = next[{record->input, record->kind}];
      const std::tuple name(record->name.module, record->name.call, record->name.op, record->occurrence);
      if (record->integral && record->mismatch.empty()) {
        const auto& after = calls[0] && calls[0]->name == name ? calls[1] : calls[0];
        record->tied = record->differing64 > 0 && after && after->agrees;
        continue;
      }
      if (!calls[0] || calls[0]->name != name) calls = {Call{name, true}, std::move(calls[0])};
      const bool agrees =
          record->mismatch.empty() && !divergence_of(*record, scales_->of(*record), method()).diverges;
      calls[0]->agrees = calls[0]->agrees && agrees;
    }
    untie_returned();
  }

  // Where integers are all that the model returns otherwise, what they come from is not excused.
  void untie_returned() {
    std::vector<bool> integers(pairing_.cases.size()), reals(pairing_.cases.size());
    for (const Measured& record : records_) {
      if (record.kind != RecordKind::output || record.run != "f32") continue;
      auto& differing = record.integral ? integers : reals;
      if (divergence_of(record, scales_->of(record), method()).diverges) differing[record.input] = true;
    }
    for (Measured& record : records_)
      if (integers[record.input] && !reals[record.input]) record.tied = false;
  }

  Method method() const { return {bounds_, verdict_.semantic}; }

  // Every real output, on every input, is apart by about its own rounding error in both precisions.  A single
  // changed weight can look so too: only equal weights rule that out.
  bool looks_contaminated() const {
    if (verdict_.weights_compared == 0 || !verdict_.weights_differing.empty()) return false;
    std::size_t outputs = 0;
    for (const Measured& record : records_) {
      if (record.kind != RecordKind::output || record.run != "f32" || record.integral) continue;
      if (!record.mismatch.empty() || !record.has_before64 || !record.has_after64) return false;
      if (record.reference.l2 == 0) continue;
      const Yardstick distance = semantic_yardstick(record, scales_->of(record), bounds_);
      const double ratio = distance.ratio() * kDoubleRatio;  // in rounding errors of float32
      if (ratio < bounds_.contaminated_least || ratio > bounds_.contaminated_most) return false;
      const ForwardRow row = judge_row(record, scales_->of(record), {bounds_, false});
      if (row.outcome != ForwardOutcome::pass) return false;
      ++outputs;
    }
    return outputs > 0;
  }

  void judge() {
    std::map<RecordKey, std::size_t> row_at;
    for (const Measured& record : records_) {
      ForwardRow row = judge_row(record, scales_->of(record), method());
      row.input = pairing_.cases[record.input].name;
      row.failed = row.outcome == ForwardOutcome::fail;
      if (record.kind == RecordKind::output) {
        verdict_.outputs.push_back(std::move(row));
        continue;
      }
      std::vector<ForwardRow>& rows = record.kind == RecordKind::module ? verdict_.modules : verdict_.ops;
      const auto [at, is_new] = row_at.try_emplace(Scales::key_of(record), rows.size());
      if (is_new)
        rows.push_back(std::move(row));
      else
        merge(rows[at->second], std::move(row));
    }
  }

  // The worse of two inputs stands for both.
  static void merge(ForwardRow& into, ForwardRow row) {
    row.cases += into.cases;
    row.failed += into.failed;
    const auto severity = [](const ForwardRow& one) {
      const Yardstick none;
      return std::pair(rank(one.outcome), one.semantic.value_or(one.rounding.value_or(none)).ratio());
    };
    if (severity(row) > severity(into)) {
      into = std::move(row);
    } else {
      into.cases = row.cases;
      into.failed = row.failed;
    }
  }

  void localise() {
    verdict_.first_module =
        first_divergence(records_, *scales_, method(), RecordKind::module, pairing_.cases);
    verdict_.first_op = first_divergence(records_, *scales_, method(), RecordKind::op, pairing_.cases);
    // The same function, computed less exactly: where that begins.
    if (verdict_.semantic && !verdict_.first_module && verdict_.count(ForwardOutcome::fail) > 0) {
      const Method by_rounding{bounds_, false};
      verdict_.first_module =
          first_divergence(records_, *scales_, by_rounding, RecordKind::module, pairing_.cases);
      if (!verdict_.first_op)
        verdict_.first_op = first_divergence(records_, *scales_, by_rounding, RecordKind::op, pairing_.cases);
    }
  }

  void find_causes() {
    const bool fine = verdict_.count(ForwardOutcome::fail) == 0 && !verdict_.first_module;
    if (fine || evidence_.changes.empty()) return;
    verdict_.causes = likely_causes(evidence_.changes, symptom());
    if (verdict_.causes.size() > kCausesMax) verdict_.causes.resize(kCausesMax);
  }

  Symptom symptom() const {
    Symptom found;
    found.before_torch = verdict_.before.torch;
    found.after_torch = verdict_.after.torch;
    found.cuda = verdict_.after.device.starts_with("cuda");
    found.same_function = verdict_.semantic;
    found.weights_differ = !verdict_.weights_differing.empty();
    found.weights_equal = verdict_.weights_compared > 0 && !found.weights_differ;
    found.edge_inputs_only = true;
    for (const Measured& record : records_) {
      found.dtype_changed = found.dtype_changed || !record.dtype_change.empty();
      found.shape_changed = found.shape_changed || record.mismatch.starts_with("shape ");
      found.failed = found.failed || record.mismatch.starts_with("the new run failed");
      const bool diverges = divergence_of(record, scales_->of(record), method()).diverges;
      if (!diverges) continue;
      found.same_function = false;
      found.index_changed = found.index_changed || record.integral;
      found.edge_inputs_only = found.edge_inputs_only && record.edge;
      if (record.kind == RecordKind::output && record.mismatch.empty())
        found.relative = std::max(found.relative, record.closeness.relative);
    }
    if (verdict_.first_module) {
      found.first_module = verdict_.first_module->name.cls;
      found.near_modules = classes_near(records_, *verdict_.first_module);
    }
    if (verdict_.first_op) found.near_ops.push_back(verdict_.first_op->name.op);
    return found;
  }

  void conclude() {
    ForwardOutcome outcome = verdict_.outputs.empty() ? ForwardOutcome::not_judged : ForwardOutcome::pass;
    bool any_judged = false;
    for (const ForwardRow& row : verdict_.outputs) {
      outcome =
          worse(outcome, row.outcome == ForwardOutcome::not_judged ? ForwardOutcome::warn : row.outcome);
      any_judged = any_judged || row.outcome != ForwardOutcome::not_judged;
    }
    for (const ForwardRow& row : verdict_.modules)
      if (row.outcome != ForwardOutcome::not_judged) outcome = worse(outcome, row.outcome);
    verdict_.outcome = any_judged ? outcome : ForwardOutcome::not_judged;
    warn();
    if (verdict_.outcome == ForwardOutcome::pass && !verdict_.warnings.empty())
      verdict_.outcome = ForwardOutcome::warn;
  }

  void warn() {
    auto& warnings = verdict_.warnings;
    if (!verdict_.semantic)
      warnings.push_back("judged by rounding only, which does not see faults below the noise of float32; " +
                         verdict_.semantic_why);
    for (const auto& [names, side] :
         {std::pair(&pairing_.only_before, "before"), std::pair(&pairing_.only_after, "after")})
      if (!names->empty())
        warnings.push_back(std::to_string(names->size()) + " inputs are recorded only " + side + ": " +
                           quote((*names)[0]) + (names->size() > 1 ? " …" : ""));
    if (!verdict_.weights_differing.empty())
      warnings.push_back(grouped(verdict_.weights_differing.size()) + " of " +
                         grouped(verdict_.weights_compared) +
                         " weights differ: " + quote(verdict_.weights_differing[0]) +
                         (verdict_.weights_differing.size() > 1 ? " …" : ""));
    if (evidence_.before.training || evidence_.after.training)
      warnings.push_back(
          "a model was recorded in training mode: dropout and batch statistics are not its function");
    double apart = 0;
    for (const Measured& record : records_) apart = std::max(apart, record.repeat_max_abs);
    if (apart > 0)
      warnings.push_back("repeats of one run differ among themselves by up to " + real_text(apart) +
                         ": it is not deterministic");
  }

  const ForwardEvidence& evidence_;
  const ForwardBounds& bounds_;
  ForwardVerdict verdict_;
  Pairing pairing_;
  std::vector<Measured> records_;  // by case; in a case outputs, modules, operations
  std::optional<Scales> scales_;
};

}  // namespace

ForwardVerdict judge_forward(const ForwardEvidence& evidence, const ForwardBounds& bounds) {
  return ForwardJudge(evidence, bounds).run();
}

}  // namespace ferry::forward
