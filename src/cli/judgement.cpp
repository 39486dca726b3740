#include <algorithm>
#include <array>

#include "src/cli/diff_file.h"
#include "src/cli/name_map.h"
#include "src/config/policy.h"
#include "src/core/error.h"
#include "src/core/text.h"
#include "validators/numeric/bound.h"

namespace ferry::cli {
bool matches_any(const std::vector<std::string>& globs, std::string_view path) {
  return std::any_of(globs.begin(), globs.end(),
                     [&](const std::string& glob) { return glob_match(glob, path); });
}

namespace {

using report::DiffState;

bool counts(DiffState state) {
  return state == DiffState::differs || state == DiffState::incomparable || state == DiffState::removed ||
         state == DiffState::added;
}

bool is_excused(const Judgement& judgement, DiffState state, std::string_view before,
                std::string_view after) {
  const std::string_view path = before.empty() ? after : before;
  return matches_any(judgement.ignores, path) ||
         (state == DiffState::removed && matches_any(judgement.allowed_removed, path)) ||
         (state == DiffState::added && matches_any(judgement.allowed_added, path));
}

std::string text_of(const BoundRow& row) {
  std::string text = row.torch_testing ? "torch.testing" : "";
  const auto add = [&](std::string_view name, const std::optional<double>& value) {
    if (value) text += (text.empty() ? "" : ", ") + std::string(name) + " " + real_text(*value);
  };
  add("rtol", row.rtol);
  add("atol", row.atol);
  add("ulp", row.ulp);
  return (row.pattern == "*" ? "" : row.pattern + ": ") + text;
}

}  // namespace

Judgement judgement_of(const DiffOptions& options) {
  config::Policy policy;
  if (!options.policy.empty()) {
    const std::string text = read_text(options.policy);
    try {
      policy = config::parse_policy(text);
    } catch (Error& error) {
      error.of(options.policy);
      throw;
    }
  }
  Judgement judgement;
  judgement.bounds = std::move(policy.bounds);
  judgement.bounds.insert(judgement.bounds.end(), options.bounds.begin(), options.bounds.end());
  judgement.nan = options.nan_strict ? NaNPolicy::strict : policy.nan.value_or(NaNPolicy::equal);
  judgement.check_dtype = options.check_dtype && policy.check_dtype.value_or(true);
  judgement.ignores = std::move(policy.ignores);
  judgement.ignores.insert(judgement.ignores.end(), options.ignores.begin(), options.ignores.end());
  judgement.allowed_removed = std::move(policy.allowed_removed);
  judgement.allowed_added = std::move(policy.allowed_added);
  return judgement;
}

std::string Judgement::text() const {
  std::string all;
  for (const BoundRow& row : bounds) all += (all.empty() ? "" : "; ") + text_of(row);
  if (all.empty()) all = "bit-equal";
  return nan == NaNPolicy::strict ? all + "; NaN strict" : all;
}

namespace {

constexpr std::string_view kIntegers = "int_repr";
constexpr std::array<std::string_view, 3> kQuantizedParts = {kIntegers, "scales", "zero_points"};

std::string_view part_of(std::string_view path) { return path.substr(path.rfind('.') + 1); }
std::string_view owner_of(std::string_view path) { return path.substr(0, path.rfind('.') + 1); }

std::string dtype_became(const report::TensorRow& row) {
  return "dtype " + std::string(row.before.dtype_name()) + " became " + std::string(row.after.dtype_name()) +
         (row.why.empty() ? "" : "; " + row.why);
}

// A name that nothing explains is a difference for whoever loads the file, whatever the numbers are.
void judge_name(report::TensorRow& row) {
  const bool renamed = row.matched_by == kByContent || row.matched_by == kByNumbers;
  if (!renamed || (row.state != DiffState::equal && row.state != DiffState::within)) return;
  row.state = DiffState::differs;
  row.why = report::renamed_words(row) + (row.why.empty() ? "" : "; " + row.why);
}

}  // namespace

QuantizedParts::QuantizedParts(std::span<const report::TensorRow> rows) {
  const auto is_quantized = [](const report::TensorSide& side) {
    return side.dtype && info(*side.dtype).quantized;
  };
  for (const report::TensorRow& row : rows)
    if ((is_quantized(row.before) || is_quantized(row.after)) && part_of(row.before.path) == kIntegers)
      owners_.emplace(owner_of(row.before.path));
}

bool QuantizedParts::has(std::string_view path) const {
  return !owners_.empty() && std::ranges::find(kQuantizedParts, part_of(path)) != kQuantizedParts.end() &&
         owners_.contains(owner_of(path));
}

void RowJudge::judge_numbers(report::TensorRow& row) {
  const std::string_view path = row.before.path;
  const Bound bound = numeric::bound_for(judgement_.bounds, path, row.drift.before, row.drift.after,
                                         judgement_.nan, quantized_.has(path));
  if (bound != *latest_) latest_ = std::make_shared<const Bound>(bound);
  row.bound = latest_;
  if (!row.measured) {
    row.state = DiffState::incomparable;
    return;
  }
  if (row.drift.bits_equal() && (judgement_.nan == NaNPolicy::equal || row.drift.nans_both == 0)) {
    row.state = DiffState::equal;
    row.why.clear();
    return;
  }
  const Verdict verdict = numeric::judge(row.drift, bound);
  row.state = verdict.within ? DiffState::within : DiffState::differs;
  row.why = verdict.why;
  if (row.drift.before == row.drift.after || !judgement_.check_dtype) return;
  row.state = DiffState::differs;
  row.why = dtype_became(row);
}

void judge_without_data(report::TensorRow& row, const Judgement& judgement) {
  if (row.measured || !row.before.dtype || !row.after.dtype || !row.why.view().ends_with(kNoDataAtAll))
    return;
  row.state = DiffState::not_compared;
  row.why = kNoDataAtAll;
  if (row.before.dtype == row.after.dtype || !judgement.check_dtype) return;
  row.state = DiffState::incomparable;
  row.why = dtype_became(row);
}

void RowJudge::judge(report::TensorRow& row) {
  judge_numbers(row);
  judge_name(row);
}

void excuse(report::FileDiff& file, const Judgement& judgement) {
  for (report::TensorRow& row : file.tensors)
    if (counts(row.state) && is_excused(judgement, row.state, row.before.path, row.after.path)) {
      row.why = "allowed" + (row.why.empty() ? "" : ": " + row.why);
      row.state = DiffState::not_compared;
    }
  std::erase_if(file.tying, [&](const report::TyingRow& row) {
    const auto ignored = [&](const std::string& path) { return matches_any(judgement.ignores, path); };
    return std::ranges::all_of(row.tied_before, ignored) && std::ranges::all_of(row.tied_after, ignored);
  });
  for (report::ValueRow& row : file.values)
    if (counts(row.state) && is_excused(judgement, row.state, row.path, row.path))
      row.state = DiffState::not_compared;
}

}  // namespace ferry::cli
