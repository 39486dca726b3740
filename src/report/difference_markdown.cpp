// A difference as a comment on a pull request or a job summary: GitHub-flavoured Markdown, short.
#include <algorithm>

#include "src/core/text.h"
#include "src/report/conversion.h"
#include "src/report/difference.h"
#include "src/report/difference_numbers.h"
#include "src/report/difference_structure.h"
#include "src/report/difference_words.h"
#include "src/report/markdown.h"

namespace ferry::report {
namespace {

constexpr std::size_t kWorstRows = 10;
constexpr std::size_t kLines = 50;  // of each list that folds away
constexpr std::size_t kFiles = 50;  // of two folders

std::string coded(Code found, const std::string& path, const std::string& what) {
  return "- " + code_name(found) + " " + (path.empty() ? "" : markdown_code(path) + " ") +
         markdown_text(what) + "\n";
}

// Lines behind a title that opens; the blank lines let Markdown work inside HTML.
template <typename Rows, typename Line>
std::string folded_away(const std::string& title, const Rows& rows, Line line) {
  if (rows.empty()) return "";
  std::string text = "\n<details><summary>" + title + "</summary>\n\n";
  const std::size_t shown = std::min<std::size_t>(rows.size(), kLines);
  for (std::size_t i = 0; i < shown; ++i) text += line(rows[i]);
  if (shown < rows.size()) text += "- … and " + grouped(rows.size() - shown) + " more\n";
  return text + "\n</details>\n";
}

std::string totals_table(const DiffTotals& sum) {
  std::string head = "|", rule = "|", cells = "|";
  const auto column = [&](std::string_view title, const std::string& cell) {
    head += " " + std::string(title) + " |";
    rule += " ---: |";
    cells += " " + cell + " |";
  };
  column("tensors compared", grouped(sum.compared));
  column("equal", grouped(sum.equal));
  const auto when_any = [&](std::string_view title, std::size_t count) {
    if (count > 0) column(title, grouped(count));
  };
  when_any("within the bound", sum.within);
  when_any("over it", sum.differing);
  when_any("renamed", sum.renamed);
  when_any("not comparable", sum.incomparable);
  when_any("removed", sum.removed);
  when_any("added", sum.added);
  when_any("not compared", sum.not_compared);
  when_any("values", sum.values_differing);
  when_any("values not compared", sum.values_not_compared);
  when_any("sharing", sum.tying_changes);
  column("elements differing", share(sum.elements_differing, sum.elements));
  return head + "\n" + rule + "\n" + cells + "\n";
}

std::string worst_row(const TensorRow& row) {
  std::string text = "| " + markdown_code(shown_side(row).path);
  if (is_renamed(row)) text += " → " + markdown_code(row.after.path);
  const std::vector<std::string> said = notes(row);
  if (!said.empty()) text += "<br>↳ " + markdown_text(said.front());
  text += " | " + std::string(state_name(row.state));
  if (!row.measured) return text + " | | | | |\n";
  const Drift& drift = row.drift;
  return text + " | " + share(drift.bits_differing, drift.elements) + " | " + three_digits(drift.max_abs) +
         " | " + ulps_words(drift.max_ulp) + " | " + three_digits(drift.relative_frobenius()) + " |\n";
}

std::string worst_table(const FileDiff& file) {
  std::vector<const TensorRow*> rows = ranked(file);
  if (rows.empty()) return "";
  const std::size_t shown = std::min(rows.size(), kWorstRows);
  std::string text =
      "\n| tensor | state | differing | max \\|Δ\\| | max ULP | rel. Frobenius |\n"
      "| :--- | :--- | ---: | ---: | ---: | ---: |\n";
  for (std::size_t i = 0; i < shown; ++i) text += worst_row(*rows[i]);
  if (shown < rows.size()) text += "\n… and " + grouped(rows.size() - shown) + " more\n";
  return text;
}

std::string value_item(const ValueRow& row) {
  std::string text = "- " + markdown_code(row.path) + " " + std::string(state_name(row.state)) + ": ";
  if (!is_added(row)) text += markdown_text(row.before);
  if (has_both_sides(row)) text += " → ";
  if (!is_removed(row)) text += markdown_text(row.after);
  return text + "\n";
}

std::string lists(const FileDiff& file) {
  return folded_away("Structure", structure_lines(file),
                     [](const StructureLine& line) {
                       return "- **" + std::string(line.kind) + "** " + markdown_text(line.text) + "\n";
                     }) +
         folded_away("Values (" + grouped(file.values.size()) + ")", file.values, value_item) +
         folded_away("Listed changes (" + grouped(file.listed.size()) + "), no differences", file.listed,
                     [](const Change& change) { return coded(change.code, change.path, change.what); }) +
         folded_away("Remarks (" + grouped(file.remarks.size()) + ")", file.remarks,
                     [](const DiffRemark& remark) { return coded(remark.code, remark.path, remark.what); });
}

std::string side_line(std::string_view label, const DiffSide& side) {
  return "- " + std::string(label) + ": " + markdown_code(side.path) + " " + markdown_text(side.format) +
         ", " + iec_size(side.bytes) + ", " + grouped(side.tensors) + " tensors, " +
         short_count(side.elements) + " elements\n";
}

std::string mark(int exit_code) { return exit_code == 0 ? "✅" : "❌"; }

std::string one_file(const FileDiff& file) {
  std::string text = side_line("before", file.before) + side_line("after", file.after);
  if (file.error) return text + "\n" + markdown_text(file.error->what()) + "\n";
  return text + "\n" + totals_table(totals(file)) + worst_table(file) + lists(file);
}

std::string many_files(const DiffReport& report) {
  std::string text = totals_table(totals(report)) + "\n| file | |\n| :--- | :--- |\n";
  const std::vector<const FileDiff*> files = worst_files_first(report);
  const std::size_t shown = std::min(files.size(), kFiles);
  for (std::size_t i = 0; i < shown; ++i)
    text += "| " + mark(exit_code(*files[i])) + " " + markdown_code(files[i]->name) + " | " +
            markdown_text(headline(*files[i], "")) + " |\n";
  const auto alone = [&](const std::vector<std::string>& paths, std::string_view where) {
    for (std::size_t i = 0; i < std::min(paths.size(), kFiles); ++i)
      text += "| ❌ " + markdown_code(paths[i]) + " | " + std::string(where) + " |\n";
  };
  alone(report.only_before, "only before");
  alone(report.only_after, "only after");
  if (shown < report.files.size()) text += "\n" + grouped(report.files.size() - shown) + " other files\n";
  return text;
}

}  // namespace

std::string diff_markdown(const DiffReport& report) {
  std::string text = "### " + mark(exit_code(report)) + " " + markdown_text(headline(report)) + "\n\n";
  text += is_single(report) ? one_file(report.files[0]) : many_files(report);
  return text + "\n<sub>torchferry " + markdown_text(report.version) + " diff. " +
         markdown_text(blind_spots()) + "</sub>\n";
}

}  // namespace ferry::report
