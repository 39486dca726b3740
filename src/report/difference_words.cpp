#include "src/report/difference_words.h"

#include <algorithm>
#include <array>

#include "src/core/text.h"
#include "src/report/difference_numbers.h"
#include "src/report/inspection_tree.h"

namespace ferry::report {
namespace {

std::string tensors(std::size_t count) { return plural(count, "tensor", "tensors"); }

// "684 tensors, 33.9 M elements, bit for bit, and 12 values".
std::string what_is_equal(const DiffTotals& sum) {
  std::string text = sum.compared == 0 ? "no tensors" : tensors(sum.compared);
  if (sum.compared > 0)
    text +=
        ", " + short_count(sum.elements) + (sum.elements == 1 ? " element" : " elements") + ", bit for bit";
  if (sum.values_compared > 0) text += ", and " + plural(sum.values_compared, "value", "values");
  return text;
}

std::string in_brackets(std::string_view bounds) {
  return bounds.empty() ? "" : " (" + std::string(bounds) + ")";
}

std::string left_out(const DiffTotals& sum) {
  if (sum.not_compared + sum.values_not_compared == 0) return "";
  std::string text = sum.not_compared > 0 ? tensors(sum.not_compared) : "";
  if (sum.values_not_compared > 0)
    text += (text.empty() ? "" : " and ") + plural(sum.values_not_compared, "value", "values");
  return "; " + text + " not compared";
}

struct FileCounts {
  std::array<std::size_t, 5> by_verdict{};
  std::size_t listed = 0;
  std::size_t of(DiffVerdict verdict) const { return by_verdict[static_cast<std::size_t>(verdict)]; }
};

FileCounts count_files(const DiffReport& report) {
  FileCounts counts;
  for (const FileDiff& file : report.files) {
    ++counts.by_verdict[static_cast<std::size_t>(verdict(file))];
    counts.listed += file.listed.size();
  }
  return counts;
}

std::string of_files(std::size_t part, const DiffReport& report) {
  return grouped(part) + " of " + plural(report.files.size(), "file", "files");
}

std::string without_partner(const DiffReport& report) {
  std::string text;
  if (!report.only_before.empty()) text += ", " + grouped(report.only_before.size()) + " only before";
  if (!report.only_after.empty()) text += ", " + grouped(report.only_after.size()) + " only after";
  return text;
}

std::string headline_of_files(const DiffReport& report) {
  const FileCounts counts = count_files(report);
  const DiffTotals sum = totals(report);
  const std::string files = plural(report.files.size(), "file", "files");
  switch (verdict(report)) {
    case DiffVerdict::identical:
      return "identical: " + files + " with " + what_is_equal(sum) + left_out(sum);
    case DiffVerdict::identical_but_listed:
      return "identical but for " + plural(counts.listed, "listed change", "listed changes") + ": " + files +
             " with " + what_is_equal(sum) + left_out(sum);
    case DiffVerdict::within:
      return "within the bound" + in_brackets(report.bounds) + ": " +
             of_files(counts.of(DiffVerdict::within), report) + " differ, none beyond it" + left_out(sum);
    case DiffVerdict::differs:
      return "differs: " + of_files(counts.of(DiffVerdict::differs), report) + in_brackets(report.bounds) +
             without_partner(report);
    case DiffVerdict::error:
      return "not compared: " + of_files(counts.of(DiffVerdict::error), report) + "; " +
             grouped(counts.of(DiffVerdict::differs)) + " of the others differ" + without_partner(report);
  }
  return "";
}

std::string nonfinite_words(const Drift& drift) {
  std::string text =
      plural(drift.nonfinite_mismatches, "pair without a distance", "pairs without a distance");
  if (drift.nans_before != drift.nans_after)
    text += ", NaN " + grouped(drift.nans_before) + " → " + grouped(drift.nans_after);
  if (drift.infinities_before != drift.infinities_after)
    text += ", infinite " + grouped(drift.infinities_before) + " → " + grouped(drift.infinities_after);
  return text;
}

std::string bits_only_words(const Drift& drift) {
  std::string text = "the values are equal, their bits are not";
  if (drift.zero_signs > 0) text += ": " + plural(drift.zero_signs, "sign of zero", "signs of zeros");
  if (drift.nan_payloads > 0)
    text += (drift.zero_signs > 0 ? ", " : ": ") + plural(drift.nan_payloads, "NaN payload", "NaN payloads");
  return text;
}

}  // namespace

DiffVerdict verdict(const FileDiff& file) {
  if (file.error) return DiffVerdict::error;
  if (exit_code(file) != 0) return DiffVerdict::differs;
  const auto is_within = [](const auto& row) { return row.state == DiffState::within; };
  if (std::any_of(file.tensors.begin(), file.tensors.end(), is_within) ||
      std::any_of(file.values.begin(), file.values.end(), is_within))
    return DiffVerdict::within;
  return file.listed.empty() ? DiffVerdict::identical : DiffVerdict::identical_but_listed;
}

DiffVerdict verdict(const DiffReport& report) {
  DiffVerdict worst =
      report.only_before.empty() && report.only_after.empty() ? DiffVerdict::identical : DiffVerdict::differs;
  for (const FileDiff& file : report.files) worst = std::max(worst, verdict(file));
  return worst;
}

std::string_view verdict_name(DiffVerdict verdict) {
  switch (verdict) {
    case DiffVerdict::identical:
      return "identical";
    case DiffVerdict::identical_but_listed:
      return "identical_but_listed";
    case DiffVerdict::within:
      return "within";
    case DiffVerdict::differs:
      return "differs";
    case DiffVerdict::error:
      return "error";
  }
  return "";
}

std::string tally(const DiffTotals& sum, std::string_view bounds) {
  std::string text;
  const auto say = [&](std::size_t count, std::string_view what) {
    if (count > 0) text += (text.empty() ? tensors(count) : ", " + grouped(count)) + " " + std::string(what);
  };
  if (sum.differing > 0)
    text = grouped(sum.differing) + " of " + tensors(sum.compared) + " over the bound" + in_brackets(bounds);
  else if (sum.renamed > 0)
    text = grouped(sum.renamed) + " of " + tensors(sum.compared) + " renamed";
  if (sum.differing > 0) say(sum.renamed, "renamed");
  say(sum.incomparable, "not comparable");
  say(sum.removed, "removed");
  say(sum.added, "added");
  const auto also = [&](std::size_t count, std::string_view one, std::string_view many) {
    if (count > 0) text += (text.empty() ? "" : ", ") + plural(count, one, many);
  };
  also(sum.values_differing, "value", "values");
  also(sum.tying_changes, "change of sharing", "changes of sharing");
  return text;
}

std::string headline(const FileDiff& file, std::string_view bounds) {
  const DiffTotals sum = totals(file);
  switch (verdict(file)) {
    case DiffVerdict::identical:
      return "identical: " + what_is_equal(sum) + left_out(sum);
    case DiffVerdict::identical_but_listed:
      return "identical but for " + plural(file.listed.size(), "listed change", "listed changes") + ": " +
             what_is_equal(sum) + left_out(sum);
    case DiffVerdict::within:
      return "within the bound" + in_brackets(bounds) + ": " + grouped(sum.within) + " of " +
             tensors(sum.compared) + " differ, none beyond it" + left_out(sum);
    case DiffVerdict::differs:
      return "differs: " + tally(sum, bounds) + left_out(sum);
    case DiffVerdict::error:
      return "not compared: " + escape_for_terminal(file.error->summary());
  }
  return "";
}

bool is_single(const DiffReport& report) {
  return report.files.size() == 1 && report.files[0].name.empty() && report.only_before.empty() &&
         report.only_after.empty();
}

std::string headline(const DiffReport& report) {
  return is_single(report) ? headline(report.files[0], report.bounds) : headline_of_files(report);
}

const TensorSide& shown_side(const TensorRow& row) {
  return !row.before.dtype && row.after.dtype ? row.after : row.before;
}

// Rows of one side need not count as removed or added: they may be allowed, or out of scope.
bool has_both_sides(const TensorRow& row) {
  return row.state != DiffState::removed && row.state != DiffState::added &&
         row.before.dtype.has_value() == row.after.dtype.has_value();
}

bool is_removed(const ValueRow& row) {
  return row.state == DiffState::removed || (row.after.empty() && !row.before.empty());
}
bool is_added(const ValueRow& row) {
  return row.state == DiffState::added || (row.before.empty() && !row.after.empty());
}

bool is_renamed(const TensorRow& row) {
  return has_both_sides(row) && !row.after.path.empty() && row.before.path != row.after.path;
}
bool changes_dtype(const TensorRow& row) {
  return has_both_sides(row) && row.after.dtype && row.before.dtype != row.after.dtype;
}
bool changes_shape(const TensorRow& row) {
  return has_both_sides(row) && row.after.dtype && row.before.shape != row.after.shape;
}

std::string dtype_words(const TensorRow& row) {
  if (!changes_dtype(row)) return std::string(shown_side(row).dtype_name());
  return std::string(row.before.dtype_name()).append(" → ").append(row.after.dtype_name());
}

std::string shape_words(const TensorRow& row) {
  if (!changes_shape(row)) return shape_text(shown_side(row).shape);
  return shape_text(row.before.shape) + " → " + shape_text(row.after.shape);
}

std::string worst_words(const TensorRow& row) {
  if (!row.measured || !row.drift.worst) return "";
  const Worst& worst = *row.drift.worst;
  std::string where;
  for (const std::uint64_t at : index_of(worst.element, row.before.shape))
    where += (where.empty() ? "" : ", ") + std::to_string(at);
  return "worst at [" + where + "]: " + number_words(worst.before, row.drift.before) + " → " +
         number_words(worst.after, row.drift.after);
}

std::vector<std::string> notes(const TensorRow& row) {
  std::vector<std::string> lines;
  // With the strictest bound the verdict's words only repeat the count of what differs; a name, and NaNs that
  // strictly equal nothing, are reasons that no count tells.
  const bool why =
      row.state == DiffState::incomparable || row.state == DiffState::not_compared ||
      (row.state == DiffState::differs && (!row.bound->exact() || !row.measured || row.drift.bits_equal()));
  if (why && !row.why.empty()) lines.push_back(row.why.str());
  for (const Explanation& explanation : row.explanations) lines.push_back(explanation.text);
  if (!row.measured) return lines;
  const Drift& drift = row.drift;
  if (drift.nonfinite_mismatches > 0) lines.push_back(nonfinite_words(drift));
  if (drift.differing == 0 && drift.bits_differing > 0) lines.push_back(bits_only_words(drift));
  return lines;
}

}  // namespace ferry::report
