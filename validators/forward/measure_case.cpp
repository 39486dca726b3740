#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "src/core/dtype.h"
#include "src/core/text.h"
#include "validators/forward/emulations.h"
#include "validators/forward/measured.h"

namespace ferry::forward {
namespace {

constexpr auto kJudgedRuns =
    std::to_array<std::string_view>({"f32", "tf32", "autocast-bf16", "autocast-fp16"});

// Records of all runs of one case under one name.
using Key = std::tuple<std::string, std::uint32_t, std::string, std::uint32_t, std::string>;
using Records = std::map<Key, const GoldenTensor*>;

Key key_of(const GoldenOutput& output) { return {"", 0, "", 0, output.path}; }
Key key_of(const ModuleRecord& record) { return {record.module, record.call, "", 0, record.output}; }

// Operations of one name in one call of a module are told apart by their order.
std::vector<Key> keys_of(const std::vector<OpRecord>& ops) {
  std::map<Key, std::uint32_t> seen;
  std::vector<Key> keys;
  for (const OpRecord& record : ops) {
    Key key{record.module, record.call, record.op, 0, record.output};
    std::get<3>(key) = seen[key]++;
    keys.push_back(key);
  }
  return keys;
}

Records records_of(const GoldenRun* run, RecordKind kind) {
  Records records;
  if (run == nullptr) return records;
  if (kind == RecordKind::output)
    for (const GoldenOutput& one : run->outputs) records.emplace(key_of(one), &one.tensor);
  if (kind == RecordKind::module)
    for (const ModuleRecord& one : run->modules) records.emplace(key_of(one), &one.tensor);
  if (kind == RecordKind::op) {
    const std::vector<Key> keys = keys_of(run->ops);
    for (std::size_t i = 0; i < keys.size(); ++i) records.emplace(keys[i], &run->ops[i].tensor);
  }
  return records;
}

const GoldenTensor* find(const Records& records, const Key& key) {
  const auto at = records.find(key);
  return at == records.end() ? nullptr : at->second;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

void take_larger(std::optional<Size>& into, const Size& size) {
  if (!into) into = Size{};
  into->l2 = std::max(into->l2, size.l2);
  into->inf = std::max(into->inf, size.inf);
}

// Everything that one kind of record of one case and one judged run is compared with.
class CaseReader {
 public:
  CaseReader(const ForwardEvidence& evidence, const ForwardBounds& bounds, const CasePair& pair,
             RecordKind kind, std::string_view run)
      : evidence_(evidence), bounds_(bounds), kind_(kind), run_(run) {
    const GoldenCase &before = evidence.before.cases[pair.before], &after = evidence.after.cases[pair.after];
    before32_ = records_of(before.run("f32"), kind);
    before64_ = records_of(before.run("f64"), kind);
    after32_ = records_of(after.run(run), kind);
    after64_ = records_of(after.run("f64"), kind);
    const auto emulations = emulations_of(run, bounds.precision);
    for (const GoldenRun& one : after.runs) {
      if (std::find(emulations.begin(), emulations.end(), one.name) != emulations.end())
        emulated_.push_back(records_of(&one, kind));
      if (one.name.starts_with("perturbed")) perturbed_.push_back(records_of(&one, kind));
    }
    if (kind != RecordKind::output) return;
    for (const GoldenRun* const one : {before.run("f32"), after.run(run)})
      if (one != nullptr) repeat_max_abs_ = std::max(repeat_max_abs_, one->repeat_maxabs);
  }

  // False when only one side has such a record.
  bool on_both_sides(const Key& key) const { return find(before32_, key) && find(after32_, key); }
  const Records& before() const { return before32_; }
  const Records& after() const { return after32_; }

  void measure(const Key& key, Measured& to) const {
    const GoldenTensor &before = *find(before32_, key), &after = *find(after32_, key);
    to.shape = after.shape;
    to.dtype = after.dtype;
    to.integral = is_integral(before.dtype) && is_integral(after.dtype);
    to.repeat_max_abs = repeat_max_abs_;
    if (before.dtype != after.dtype) to.dtype_change = before.dtype + " became " + after.dtype;
    if (before.shape != after.shape) {
      to.mismatch = "shape " + shape_text(before.shape) + " became " + shape_text(after.shape);
      return;
    }
    const std::uint64_t samples = std::max(before.sampled, after.sampled);
    const auto old_run = evidence_.before_numbers.read(before, samples);
    const auto new_run = evidence_.after_numbers.read(after, samples);
    if (old_run.size() != new_run.size()) {
      to.mismatch =
          grouped(old_run.size()) + " numbers were recorded before and " + grouped(new_run.size()) + " after";
      return;
    }
    measure_numbers({key, after.shape, samples}, old_run, new_run, to);
  }

 private:
  // A record as other runs must have it.
  struct Sought {
    const Key& key;
    const std::vector<std::int64_t>& shape;
    std::uint64_t samples;
  };

  void measure_numbers(const Sought& sought, Numbers old_run, Numbers new_run, Measured& to) const {
    to.mismatches = nonfinite_mismatches(old_run, new_run);
    to.differing = differing(old_run, new_run);
    to.closeness = closeness_of(old_run, new_run);
    const auto old64 = partner(evidence_.before_numbers, before64_, sought);
    const auto new64 = partner(evidence_.after_numbers, after64_, sought);
    to.has_before64 = old64 && old64->size() == old_run.size();
    to.has_after64 = new64 && new64->size() == new_run.size();
    const Numbers reference = to.has_after64 ? Numbers(*new64) : to.has_before64 ? Numbers(*old64) : old_run;
    to.reference = size_of(reference);
    to.rounding = distance_of(old_run, reference);
    if (to.has_before64) to.before_error = distance_of(old_run, *old64);
    if (to.has_after64) to.after_error = distance_of(new_run, *new64);
    if (to.integral && to.has_before64) to.turned += differing(old_run, *old64);
    if (to.integral && to.has_after64) to.turned += differing(new_run, *new64);
    if (to.has_before64 && to.has_after64) {
      to.semantic = distance_of(*old64, *new64);
      to.mismatches64 = nonfinite_mismatches(*old64, *new64);
      to.differing64 = differing(*old64, *new64);
    }
    measure_others(sought, reference, to);
    if (kind_ != RecordKind::output || to.integral) return;
    if (to.has_before64) to.outliers_before = outliers_of(old_run, *old64, to);
    if (to.has_after64) to.outliers_after = outliers_of(new_run, *new64, to);
    const bool whole = sought.samples == 0, real = !to.dtype.starts_with("complex");
    if (whole && real)
      to.decisions = decisions_of(old_run, new_run, to.shape, bounds_.top_k,
                                  std::max(to.before_error.inf, to.after_error.inf));
  }

  // The same record of another run; nothing when there is none, or one of another shape.
  static std::optional<std::vector<double>> partner(const NumberSource& numbers, const Records& records,
                                                    const Sought& sought) {
    const GoldenTensor* const found = find(records, sought.key);
    if (found == nullptr || found->shape != sought.shape) return std::nullopt;
    return numbers.read(*found, sought.samples);
  }

  void measure_others(const Sought& sought, Numbers reference, Measured& to) const {
    for (const Records& records : emulated_) {
      const auto numbers = partner(evidence_.after_numbers, records, sought);
      if (numbers && numbers->size() == reference.size() && to.has_after64)
        take_larger(to.emulated, distance_of(*numbers, reference));
    }
    for (const Records& records : perturbed_) {
      const auto numbers = partner(evidence_.after_numbers, records, sought);
      if (numbers && numbers->size() == reference.size())
        to.outliers_perturbed = std::max(to.outliers_perturbed, outliers_of(*numbers, reference, to));
    }
  }

  std::uint64_t outliers_of(Numbers run, Numbers reference, const Measured& to) const {
    return outliers(run, reference, bounds_.unstable, kUnit * to.reference.inf);
  }

  const ForwardEvidence& evidence_;
  const ForwardBounds& bounds_;
  RecordKind kind_;
  std::string_view run_;
  Records before32_, before64_, after32_, after64_;
  std::vector<Records> emulated_, perturbed_;
  double repeat_max_abs_ = 0;
};

RecordName name_of(const ModuleRecord& record) {
  return {record.module, record.cls, record.call, "", "", record.output};
}
RecordName name_of(const OpRecord& record) {
  return {record.module, "", record.call, record.op, record.source, record.output};
}

class CaseMeasurer {
 public:
  CaseMeasurer(const ForwardEvidence& evidence, const ForwardBounds& bounds, const Pairing& pairing,
               std::size_t input)
      : evidence_(evidence),
        bounds_(bounds),
        pair_(pairing.cases[input]),
        input_(input),
        before_(evidence.before.cases[pair_.before]),
        after_(evidence.after.cases[pair_.after]) {}

  CaseMeasures run() {
    for (const std::string_view name : kJudgedRuns) measure_outputs(name);
    const GoldenRun *const old_run = usable(before_), *const new_run = usable(after_);
    if (old_run == nullptr || new_run == nullptr) return std::move(found_);
    measure_modules(*old_run, *new_run);
    measure_ops(*new_run);
    return std::move(found_);
  }

 private:
  static const GoldenRun* usable(const GoldenCase& one) {
    const GoldenRun* const run = one.run("f32");
    return run == nullptr || !run->error.empty() ? nullptr : run;
  }

  Measured& add(RecordKind kind, RecordName name, std::string_view run) {
    Measured& one = found_.records.emplace_back();
    one.kind = kind;
    one.name = std::move(name);
    one.run = run;
    one.input = input_;
    one.edge = pair_.edge;
    return one;
  }

  static RecordName output_name(std::string path) { return {"", "", 0, "", "", std::move(path)}; }

  // Without the new side's run there is something to say only of float32, which every golden has.
  void measure_outputs(std::string_view name) {
    const GoldenRun *const old_run = before_.run("f32"), *const new_run = after_.run(name);
    if (new_run == nullptr && name != "f32") return;
    if (const std::string why = run_mismatch(old_run, new_run); !why.empty()) {
      add(RecordKind::output, output_name(""), name).mismatch = why;
      return;
    }
    if (!old_run->error.empty()) return;  // both failed
    const CaseReader reader(evidence_, bounds_, pair_, RecordKind::output, name);
    for (const GoldenOutput& output : old_run->outputs) {
      const Key key = key_of(output);
      Measured& one = add(RecordKind::output, output_name(output.path), name);
      if (reader.on_both_sides(key))
        reader.measure(key, one);
      else
        one.mismatch = "the output is gone";
    }
    for (const GoldenOutput& output : new_run->outputs)
      if (!reader.on_both_sides(key_of(output)))
        add(RecordKind::output, output_name(output.path), name).mismatch = "the output is new";
  }

  static std::string run_mismatch(const GoldenRun* old_run, const GoldenRun* new_run) {
    if (old_run == nullptr) return "the old side has no float32 run";
    if (new_run == nullptr) return "the new side has no float32 run";
    if (old_run->error.empty() == new_run->error.empty()) return "";
    return old_run->error.empty() ? "the new run failed: " + new_run->error
                                  : "the old run failed: " + old_run->error;
  }

  void measure_modules(const GoldenRun& old_run, const GoldenRun& new_run) {
    const CaseReader reader(evidence_, bounds_, pair_, RecordKind::module, "f32");
    for (const ModuleRecord& record : new_run.modules) {
      if (reader.on_both_sides(key_of(record)))
        reader.measure(key_of(record), add(RecordKind::module, name_of(record), "f32"));
      else
        found_.only_after.push_back(name_of(record));
    }
    for (const ModuleRecord& record : old_run.modules)
      if (!reader.on_both_sides(key_of(record))) found_.only_before.push_back(name_of(record));
  }

  // Recorders have no operations; two replays do.
  void measure_ops(const GoldenRun& new_run) {
    const CaseReader reader(evidence_, bounds_, pair_, RecordKind::op, "f32");
    const std::vector<Key> keys = keys_of(new_run.ops);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!reader.on_both_sides(keys[i])) continue;
      Measured& one = add(RecordKind::op, name_of(new_run.ops[i]), "f32");
      one.occurrence = std::get<3>(keys[i]);
      reader.measure(keys[i], one);
    }
  }

  const ForwardEvidence& evidence_;
  const ForwardBounds& bounds_;
  const CasePair& pair_;
  std::size_t input_;
  const GoldenCase &before_, &after_;
  CaseMeasures found_;
};

}  // namespace

bool is_integral(std::string_view dtype) {
  return dtype == "bool" || dtype.starts_with("int") || dtype.starts_with("uint");
}

CaseMeasures measure_case(const ForwardEvidence& evidence, const ForwardBounds& bounds,
                          const Pairing& pairing, std::size_t input) {
  return CaseMeasurer(evidence, bounds, pairing, input).run();
}

}  // namespace ferry::forward
