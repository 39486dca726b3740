// A difference as one page that needs nothing else: the verdict, pictures of the drift, and every number
// behind them.
#include <algorithm>

#include "src/core/text.h"
#include "src/report/conversion.h"
#include "src/report/difference.h"
#include "src/report/difference_numbers.h"
#include "src/report/difference_page.h"
#include "src/report/difference_structure.h"
#include "src/report/difference_words.h"
#include "src/report/inspection_tree.h"

namespace ferry::report {
namespace {

// What keeps the page small, however large the checkpoints are; the page says what it leaves out.
constexpr std::size_t kRowsMost = 2000;   // of tensors, all files together
constexpr std::size_t kFilesMost = 1000;  // in the list of files
constexpr std::size_t kFilesDrawn = 20;   // with pictures and tables
constexpr std::size_t kLinesMost = 500;   // of values, remarks, …

std::string section(std::string_view title, std::string_view about, const std::string& content) {
  if (content.empty()) return "";
  std::string text = "<section><h2>" + std::string(title) + "</h2>\n";
  if (!about.empty()) text += "<p class=\"about\">" + std::string(about) + "</p>\n";
  return text + content + "</section>\n";
}

// --- One file

std::string side_card(std::string_view label, const DiffSide& side) {
  std::string text =
      "<div class=\"side\"><h3>" + std::string(label) + "</h3><p>" + name_tag(side.path) + "</p>";
  if (!side.format.empty())
    text += "<p class=\"small\">" + html_escaped(side.format) + " · " + iec_size(side.bytes) + " · " +
            plural(side.tensors, "tensor", "tensors") + " · " + short_count(side.elements) + " elements</p>";
  return text + "</div>\n";
}

template <typename Rows, typename Line>
std::string list_of(const Rows& rows, Line line) {
  if (rows.empty()) return "";
  std::string text = "<ul class=\"lines\">\n";
  const std::size_t shown = std::min<std::size_t>(rows.size(), kLinesMost);
  for (std::size_t i = 0; i < shown; ++i) text += "<li>" + line(rows[i]) + "</li>\n";
  if (shown < rows.size())
    text += "<li>… and " + grouped(rows.size() - shown) + " more, which the JSON report has</li>\n";
  return text + "</ul>\n";
}

std::string coded_line(Code code, const std::string& path, const std::string& what) {
  return "<b title=\"" + html_escaped(info(code).meaning) + "\">" + code_name(code) + "</b> " +
         (path.empty() ? "" : name_tag(path) + " ") + html_escaped(what);
}

std::string value_line(const ValueRow& row) {
  std::string text = name_tag(row.path) + " ";
  if (row.state == DiffState::not_compared) text += "not compared: ";
  if (is_added(row)) return text + "<b>added</b> " + name_tag(row.after);
  if (is_removed(row)) return text + "<b>removed</b> " + name_tag(row.before);
  return text + "<del>" + html_escaped(row.before) + "</del> → <ins>" + html_escaped(row.after) + "</ins>";
}

std::string lists(const FileDiff& file) {
  const auto listed = [](const Change& change) { return coded_line(change.code, change.path, change.what); };
  const auto remark = [](const DiffRemark& one) { return coded_line(one.code, one.path, one.what); };
  const auto structure = [](const StructureLine& line) {
    return "<b>" + std::string(line.kind) + "</b> " + html_escaped(line.text);
  };
  return "<div class=\"lists\">\n" + section("Structure", "", list_of(structure_lines(file), structure)) +
         section("Values", "", list_of(file.values, value_line)) +
         section("Listed changes", "Known of the conversion: no differences.", list_of(file.listed, listed)) +
         section("Remarks", "", list_of(file.remarks, remark)) + "</div>\n";
}

std::string pictures(const FilePage& page) {
  const auto differs = [](const TensorRow& row) {
    return row.state != DiffState::equal && row.state != DiffState::not_compared;
  };
  if (std::none_of(page.file.tensors.begin(), page.file.tensors.end(), differs)) return "";
  const std::string cells = page.marks.per_mark == 1
                                ? "A cell a tensor"
                                : "A cell " + grouped(page.marks.per_mark) + " tensors, the worst of them";
  return section("Drift through the model",
                 "Every tensor in the order of the model. Choose a mark to see its row.", drift_plot(page)) +
         "<div class=\"pair\">\n" +
         section("Where", cells + ", a strip a part of the model.", heat_strips(page)) +
         section("How far", "Distances of single elements in units in the last place.", ulp_histogram(page)) +
         "</div>\n";
}

std::string file_parts(const FileDiff& file, const std::string& id, std::size_t rows_most) {
  std::string text = "<div class=\"sides\">\n" + side_card("Before", file.before) +
                     side_card("After", file.after) + "</div>\n";
  if (file.error) return text + "<p class=\"error\">" + html_escaped(file.error->what()) + "</p>\n";
  const FilePage page = page_of(file, id, rows_most);
  return text + pictures(page) + lists(file) +
         (page.rows.empty() ? ""
                            : "<section class=\"tensors\" id=\"" + id + "\"><h2>Tensors</h2>\n" +
                                  tensor_table(page) + "</section>\n");
}

// --- Folders

std::string files_table(const DiffReport& report) {
  std::string text =
      "<div class=\"table files\"><table><thead><tr><th scope=\"col\">file</th><th scope=\"col\">state</th>"
      "<th scope=\"col\">what differs</th></tr></thead><tbody>\n";
  std::size_t left = kFilesMost;
  const auto row = [&](const std::string& path, std::string_view state, std::string_view kind,
                       const std::string& what) {
    if (left > 0)
      text += "<tr class=\"" + std::string(kind) + "\"><th scope=\"row\">" + name_tag(path) + "</th><td><b>" +
              std::string(state) + "</b></td><td>" + html_escaped(what) + "</td></tr>\n";
    left -= left > 0;
  };
  constexpr std::array<std::string_view, 5> kKinds = {"equal", "equal", "within", "over", "incomparable"};
  constexpr std::array<std::string_view, 5> kStates = {"identical", "listed only", "within", "differs",
                                                       "error"};
  for (const FileDiff& file : report.files) {
    const auto found = static_cast<std::size_t>(verdict(file));
    const std::string said = headline(file, "");
    row(file.name, kStates[found], kKinds[found], said.substr(said.find(": ") + 2));
  }
  for (const std::string& path : report.only_before) row(path, "only before", "removed", "");
  for (const std::string& path : report.only_after) row(path, "only after", "added", "");
  text += "</tbody></table></div>\n";
  const std::size_t all = report.files.size() + report.only_before.size() + report.only_after.size();
  if (all > kFilesMost)
    text +=
        "<p class=\"small\">The list has " + grouped(kFilesMost) + " of " + grouped(all) + " files.</p>\n";
  return text;
}

std::string folders(const DiffReport& report) {
  std::string text = section("Files", "", files_table(report));
  const std::vector<const FileDiff*> files = worst_files_first(report);
  const std::size_t drawn = std::min(files.size(), kFilesDrawn);
  for (std::size_t i = 0; i < drawn; ++i)
    text += std::string("<details class=\"file\"") + (i == 0 ? " open" : "") + "><summary>" +
            name_tag(files[i]->name) + " <span>" + html_escaped(headline(*files[i], "")) +
            "</span></summary>\n" + file_parts(*files[i], "f" + std::to_string(i), kRowsMost / drawn) +
            "</details>\n";
  if (drawn < files.size())
    text += "<p class=\"small\">" + grouped(files.size() - drawn) +
            " more files differ; the page draws the worst " + grouped(drawn) +
            ", the JSON report has all of them.</p>\n";
  return text;
}

constexpr std::string_view kDifferenceHead = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
)";

}  // namespace

std::string diff_html(const DiffReport& report) {
  std::string page(kDifferenceHead);
  page += "<title>torchferry diff: " + html_escaped(verdict_name(verdict(report))) + "</title>\n<style>\n" +
          std::string(kPageStyle) + "</style>\n</head>\n<body>\n" + symbols() + "<main>\n" +
          page_banner(report);
  page += is_single(report) ? file_parts(report.files[0], "f0", kRowsMost) : folders(report);
  page += section("What this cannot see", "", "<p>" + html_escaped(blind_spots()) + "</p>\n");
  page += "<footer>torchferry " + html_escaped(report.version) + " · bound: " + html_escaped(report.bounds) +
          " · exit code " + std::to_string(exit_code(report)) + "</footer>\n</main>\n<script>\n" +
          std::string(kPageScript) + "</script>\n</body>\n</html>\n";
  return page;
}

}  // namespace ferry::report
