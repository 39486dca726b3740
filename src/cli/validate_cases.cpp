#include "src/cli/validate_cases.h"

#include <algorithm>
#include <set>

#include "src/core/text.h"
#include "src/report/inspection_tree.h"
#include "validators/numeric/bound.h"

namespace ferry::cli {
namespace {

using policy::TestCase;
using report::DiffState;
using report::FileDiff;
using report::TensorRow;

bool is_excused(const TensorRow& row) { return row.state == DiffState::not_compared; }

bool is_paired(const TensorRow& row) { return row.before.dtype && row.after.dtype; }

const SharedText& path_of(const TensorRow& row) {
  return row.before.dtype ? row.before.path : row.after.path;
}

bool is_float(const report::TensorSide& side) {
  return side.dtype_name().find("float") != std::string_view::npos;
}

// The type that a tensor is to have after: its own, or the one that was asked for where it is a float.
std::optional<DType> wanted_dtype(const TensorRow& row, const CheckOptions& options) {
  if (options.dtype && is_float(row.before)) return options.dtype;
  return row.before.dtype;
}

// --- Structure

class StructureCheck {
 public:
  StructureCheck(const FileDiff& file, const CheckOptions& options, const Judgement& judgement)
      : file_(file), options_(options), judgement_(judgement) {}

  TestCase judge() {
    case_ = policy::failed(policy::kStructureChanges, Code::structure_differs, "");
    for (const TensorRow& row : file_.tensors)
      if (!is_excused(row)) judge_tensor(row);
    for (const report::ValueRow& row : file_.values)
      if (row.state != DiffState::not_compared) judge_value(row);
    for (const report::TyingRow& row : file_.tying) judge_tie(row);
    judge_changes();
    if (faults_ == 0) return passed();
    case_.message = report::plural(faults_, "thing is", "things are") + " not as the conversion of " +
                    file_.before.path + " has them";
    add_causes();
    return std::move(case_);
  }

 private:
  void fault(std::string_view path, std::string what) {
    ++faults_;
    policy::add_detail(case_, std::string(path), std::move(what));
  }

  void judge_tensor(const TensorRow& row) {
    if (!row.before.dtype) {
      ++added_;
      return fault(row.after.path, "added");
    }
    if (!row.after.dtype) {
      ++removed_;
      return fault(row.before.path, "removed");
    }
    if (row.before.path != row.after.path && !row.matched_by.view().starts_with("map")) judge_name(row);
    if (row.before.shape != row.after.shape)
      fault(row.before.path, row.why.str());
    else if (!row.measured && row.state == DiffState::incomparable)
      fault(row.before.path, row.why.str());
    const std::optional<DType> wanted = wanted_dtype(row, options_);
    if (row.after.dtype != wanted && judgement_.check_dtype)
      fault(row.before.path,
            std::string(row.after.dtype_name()) + " instead of " + std::string(info(*wanted).name));
  }

  void judge_name(const TensorRow& row) {
    ++renamed_;
    if (row.matched_by.view().starts_with("wrapper") && ++wrapped_ > 1) {
      ++faults_;  // one wrapper renames them all: one line is enough
      return;
    }
    fault(row.before.path,
          "is called " + row.after.path + (row.matched_by.empty() ? "" : " (" + row.matched_by + ")"));
  }

  void judge_value(const report::ValueRow& row) {
    fault(row.path, row.state == DiffState::added     ? "added: " + row.after
                    : row.state == DiffState::removed ? "removed: " + row.before
                                                      : row.before + " became " + row.after);
  }

  void judge_tie(const report::TyingRow& row) {
    const auto& paths = row.tied_before.empty() ? row.tied_after : row.tied_before;
    std::string names;
    for (const std::string& path : paths) names += (names.empty() ? "" : ", ") + path;
    fault(paths.empty() ? "" : paths.front(), names + ": " + row.what);
  }

  // What was expected and did not happen, and the other way round.
  void judge_changes() {
    if (options_.expect.empty()) return;
    std::set<std::string> happened;
    for (const Change& change : file_.listed) happened.insert(code_name(change.code));
    for (const std::string& code : options_.expect)
      if (happened.find(code) == happened.end())
        fault(code, "was expected, and the conversion does not do it");
    for (const std::string& code : happened)
      if (std::ranges::find(options_.expect, code) == options_.expect.end())
        fault(code, "was not expected, and the conversion does it");
  }

  TestCase passed() const {
    std::size_t tensors = 0;
    for (const TensorRow& row : file_.tensors) tensors += is_paired(row) && !is_excused(row) ? 1 : 0;
    std::string said = report::plural(tensors, "tensor", "tensors") + " and " +
                       report::plural(file_.values_compared, "value", "values") +
                       " as the conversion has them";
    if (!file_.listed.empty())
      said += "; " + report::plural(file_.listed.size(), "listed change", "listed changes");
    const auto left_out = static_cast<std::size_t>(std::ranges::count_if(file_.tensors, is_excused));
    if (left_out > 0) said += "; " + report::plural(left_out, "tensor", "tensors") + " left out";
    return policy::passed(policy::kStructureChanges, said);
  }

  void add_causes() {
    if (wrapped_ > 0)
      case_.causes.emplace_back("the keys still carry a wrapper's prefix: the file was not converted");
    const auto uncured = [&](Code code, std::string_view of_what) {
      const bool named =
          std::ranges::any_of(file_.listed, [&](const Change& one) { return one.code == code; });
      if (named && removed_ + added_ + file_.values.size() > 0)
        for (const report::ValueRow& row : file_.values)
          if (row.path.find(of_what) != std::string::npos) return true;
      return false;
    };
    if (uncured(Code::amp_to_scaler, "amp"))
      case_.causes.emplace_back("apex amp was not turned into GradScaler state [TF502]");
    if (uncured(Code::optimizer_ids, "param_groups"))
      case_.causes.emplace_back("the optimizer is as the old PyTorch left it [TF503]");
  }

  const FileDiff& file_;
  const CheckOptions& options_;
  const Judgement& judgement_;
  TestCase case_;
  std::size_t faults_ = 0, added_ = 0, removed_ = 0, renamed_ = 0, wrapped_ = 0;
};

// --- Numbers

Cause rounding_to(DType dtype) {
  switch (dtype) {
    case DType::float16:
      return Cause::float16_rounding;
    case DType::bfloat16:
      return Cause::bfloat16_rounding;
    case DType::float32:
      return Cause::float32_rounding;
    default:
      return Cause::float8_rounding;
  }
}

bool has_cause(const TensorRow& row, Cause cause) {
  return std::ranges::any_of(row.explanations, [&](const Explanation& one) { return one.cause == cause; });
}

// Empty when the numbers are as they should be.
std::string why_numbers_differ(const TensorRow& row, const CheckOptions& options,
                               const Judgement& judgement) {
  if (!row.measured) return "";
  const bool nans = judgement.nan == NaNPolicy::strict && row.drift.nans_both > 0;
  if (row.drift.bits_differing == 0 && !nans) return "";
  const Verdict verdict = numeric::judge(row.drift, *row.bound);
  if (verdict.within) return "";
  if (!options.dtype || !is_float(row.before)) return verdict.why;
  if (has_cause(row, rounding_to(*options.dtype))) return "";
  return "not the " + std::string(info(*options.dtype).name) + " rounding of before: " + verdict.why;
}

void add_number_causes(const FileDiff& file, const std::vector<const TensorRow*>& rows, TestCase& one) {
  std::vector<std::pair<std::string, std::size_t>> causes;
  for (const TensorRow* row : rows) {
    if (row->explanations.empty()) continue;
    const std::string& text = row->explanations.front().text;
    const auto at = std::ranges::find(causes, text, &std::pair<std::string, std::size_t>::first);
    if (at == causes.end())
      causes.emplace_back(text, 1);
    else
      ++at->second;
  }
  std::ranges::stable_sort(causes, std::greater(), &std::pair<std::string, std::size_t>::second);
  constexpr std::size_t kCausesMost = 3;
  if (causes.size() > kCausesMost) causes.resize(kCausesMost);
  for (const report::DiffRemark& remark : file.remarks)
    if (remark.code == Code::common_cause) one.causes.push_back(remark.what);
  for (const auto& [text, count] : causes)
    one.causes.push_back(report::plural(count, "tensor", "tensors") + ": " + text);
}

}  // namespace

TestCase structure_case(const FileDiff& file, const CheckOptions& options, const Judgement& judgement) {
  return StructureCheck(file, options, judgement).judge();
}

TestCase tensors_case(const FileDiff& file, const CheckOptions& options, const Judgement& judgement) {
  const bool exact = judgement.bounds.empty() && !options.dtype;
  const std::string_view name = exact ? policy::kTensorsEqual : policy::kTensorsWithin;
  TestCase found = policy::failed(name, Code::tensors_differ, "");
  std::vector<const TensorRow*> over;
  std::size_t compared = 0;
  std::uint64_t elements = 0;
  for (const TensorRow& row : file.tensors) {
    if (is_excused(row) || !is_paired(row) || !row.measured) continue;
    ++compared;
    elements += row.drift.elements;
    std::string why = why_numbers_differ(row, options, judgement);
    if (why.empty()) continue;
    over.push_back(&row);
    policy::add_detail(found, path_of(row).str(), std::move(why));
  }
  const std::string asked =
      options.dtype ? "rounded to " + std::string(info(*options.dtype).name) : judgement.text();
  if (compared == 0) return policy::skipped(name, "there is no tensor that both files have");
  if (over.empty())
    return policy::passed(name, report::plural(compared, "tensor", "tensors") + ", " + grouped(elements) +
                                    " elements: " + asked);
  found.message = grouped(over.size()) + " of " + report::plural(compared, "tensor", "tensors") +
                  (over.size() == 1 ? " is not: " : " are not: ") + asked;
  add_number_causes(file, over, found);
  return found;
}

}  // namespace ferry::cli
