#include "src/cli/validate_tasks.h"

#include <map>

#include "src/cli/diff_folders.h"
#include "src/cli/name_map.h"
#include "src/config/validation_policy.h"
#include "src/core/error.h"

namespace ferry::cli {
namespace {

std::string own_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

policy::Suite without_partner(const std::string& path, bool is_before) {
  policy::Suite suite;
  suite.name = path;
  (is_before ? suite.before : suite.after) = path;
  suite.cases.push_back(policy::failed(policy::kOpens, Code::partner_missing,
                                       is_before ? "only before has this file" : "only after has this file"));
  return suite;
}

void add_pairs(const CheckOptions& options, const Judgement& judgement, CheckPlan& plan) {
  const FolderPairs found = find_pairs(options.diff);
  for (const FolderPair& pair : found.pairs) {
    CheckTask task{pair.name, pair.before, pair.after, options, judgement};
    if (task.name.empty())
      task.name = options.name.empty() ? own_name(pair.after) : options.name;
    else if (!options.name.empty())
      task.name = options.name + "/" + task.name;
    plan.tasks.push_back(std::move(task));
  }
  for (const std::string& path : found.only_before) plan.complaints.push_back(without_partner(path, true));
  for (const std::string& path : found.only_after) plan.complaints.push_back(without_partner(path, false));
}

// --- Policies

std::string beside(const std::string& policy, const std::string& path) {
  const std::size_t slash = policy.rfind('/');
  if (path.empty() || path.starts_with('/') || slash == std::string::npos) return path;
  return policy.substr(0, slash + 1) + path;
}

template <typename List>
void put_in_front(List& list, const List& others) {
  list.insert(list.begin(), others.begin(), others.end());
}

// A bound of the command line that is not the usual one was asked for, and stays.
void take_bounds(const policy::CheckpointPolicy& one, ForwardBounds& to) {
  const ForwardBounds usual;
  const auto take = [&](std::optional<double> said, double ForwardBounds::*member) {
    if (said && to.*member == usual.*member) to.*member = *said;
  };
  take(one.semantic, &ForwardBounds::semantic);
  take(one.rounding, &ForwardBounds::rounding);
  take(one.rounding_inf, &ForwardBounds::rounding_inf);
  take(one.sides, &ForwardBounds::sides);
  take(one.reduced, &ForwardBounds::reduced);
  take(one.reduced_inf, &ForwardBounds::reduced_inf);
}

// The policy first, so that the command line has the last word.
CheckOptions options_for(const policy::CheckpointPolicy& one, const std::string& file, CheckOptions options) {
  options.name = one.name;
  DiffOptions& diff = options.diff;
  diff.before = beside(file, one.before);
  diff.after = beside(file, one.after);
  if (diff.map.empty()) diff.map = beside(file, one.map);
  if (diff.rules.select.empty()) diff.rules.select = one.select;
  put_in_front(diff.rules.includes, one.includes);
  put_in_front(diff.rules.excludes, one.excludes);
  std::vector<convert::Rename> renames;
  for (const auto& [pattern, replacement] : one.renames) renames.push_back({pattern, replacement});
  put_in_front(diff.rules.renames, renames);
  put_in_front(diff.bounds, one.bounds);
  put_in_front(diff.ignores, one.ignores);
  if (one.layout == "keep") diff.rules.layout = convert::Layout::keep;
  diff.nan_strict = diff.nan_strict || one.nan == NaNPolicy::strict;
  diff.check_dtype = diff.check_dtype && one.check_dtype.value_or(true);
  if (!options.dtype) options.dtype = one.dtype;
  put_in_front(options.expect, one.expect);
  put_in_front(options.without, one.without);
  DriftOptions& drift = options.drift;
  if (drift.model.empty()) drift.model = beside(file, one.model);
  if (drift.golden.empty()) drift.golden = beside(file, one.golden);
  if (drift.rerun.empty()) drift.rerun = beside(file, one.rerun);
  if (drift.device == "auto") drift.device = one.device.value_or("auto");
  drift.require_gpu = drift.require_gpu || one.require_gpu.value_or(false);
  put_in_front(drift.runs, one.runs);
  put_in_front(drift.bounds.unstable_outputs, one.unstable);
  take_bounds(one, drift.bounds);
  return options;
}

policy::Policy read_policy(const std::string& path) {
  const std::string text = read_text(path);
  try {
    return config::parse_validation_policy(text);
  } catch (Error& error) {
    error.of(path);
    throw;
  }
}

CheckPlan plan_policy(const CheckOptions& options) {
  const std::string& file = options.diff.before;
  CheckPlan plan;
  for (const policy::CheckpointPolicy& one : read_policy(file).checkpoints) {
    const CheckOptions asked = options_for(one, file, options);
    Judgement judgement = judgement_of(asked.diff);
    put_in_front(judgement.allowed_removed, one.allowed_removed);
    put_in_front(judgement.allowed_added, one.allowed_added);
    add_pairs(asked, judgement, plan);
  }
  return plan;
}

// Programs of CI tell cases apart by the name of their suite.
void make_names_unique(CheckPlan& plan) {
  std::map<std::string, std::size_t> uses;
  for (CheckTask& task : plan.tasks)
    if (const std::size_t use = ++uses[task.name]; use > 1) task.name += " (" + std::to_string(use) + ")";
}

}  // namespace

CheckPlan plan_checks(const CheckOptions& options) {
  CheckPlan plan;
  if (options.diff.after.empty())
    plan = plan_policy(options);
  else
    add_pairs(options, judgement_of(options.diff), plan);
  make_names_unique(plan);
  return plan;
}

}  // namespace ferry::cli
