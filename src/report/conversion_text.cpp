// The forms of a conversion report for people at a terminal and for text files.
#include <algorithm>
#include <array>
#include <map>

#include "src/core/text.h"
#include "src/report/conversion.h"

namespace ferry::report {
namespace {

constexpr std::size_t kPathsShown = 3;    // of one group of changes
constexpr std::size_t kGroupsShown = 12;  // of one code

std::string painted(std::string_view text, std::string_view sgr, bool color) {
  if (!color || sgr.empty()) return std::string(text);
  return "\x1b[" + std::string(sgr) + "m" + std::string(text) + "\x1b[0m";
}

std::string code_tag(Code code, const TextStyle& style) {
  return painted(std::string("[").append(code_name(code)).append("]"), "2", style.color);
}

std::string_view outcome_color(Outcome outcome) {
  switch (outcome) {
    case Outcome::converted:
      return "32";
    case Outcome::skipped:
      return "33";
    case Outcome::failed:
    case Outcome::refused:
      return "31";
    case Outcome::planned:
      break;
  }
  return "";
}

std::string sizes(std::uint64_t before, std::uint64_t after) {
  return iec_size(before) + " → " + iec_size(after);
}

std::size_t count_changes(const FileReport& file) {
  std::size_t count = 0;
  for (const ChangeGroup& group : group_changes(file.changes)) count += !is_remark(group.code);
  return count;
}

// "a, b, c and 9 more"; the root has no name of its own.
std::string listed(const std::vector<std::string_view>& paths, bool all) {
  std::string text;
  const std::size_t shown = all || paths.size() <= kPathsShown + 1 ? paths.size() : kPathsShown;
  for (std::size_t i = 0; i < shown; ++i)
    text.append(i == 0 ? "" : ", ")
        .append(paths[i].empty() ? "the checkpoint" : escape_for_terminal(paths[i]));
  if (shown < paths.size()) text += " and " + grouped(paths.size() - shown) + " more";
  return text;
}

std::string change_line(const ChangeGroup& group, const TextStyle& style) {
  std::string text = is_remark(group.code) ? "  remark: " : "  ";
  if (group.paths.size() > 1 || !group.paths.front().empty()) text += listed(group.paths, style.all) + ": ";
  text += escape_for_terminal(group.what);
  text += " " + code_tag(group.code, style) + "\n";
  if (style.all)
    for (const std::string& detail : *group.details) text += "    " + escape_for_terminal(detail) + "\n";
  return text;
}

std::string change_lines(const FileReport& file, const TextStyle& style) {
  std::string text;
  std::map<Code, std::size_t> seen, total;
  const std::vector<ChangeGroup> groups = group_changes(file.changes);
  for (const ChangeGroup& group : groups) ++total[group.code];
  for (const bool remarks : {false, true}) {
    for (const ChangeGroup& group : groups) {
      if (is_remark(group.code) != remarks) continue;
      const std::size_t nth = ++seen[group.code];
      if (style.all || nth <= kGroupsShown) text += change_line(group, style);
      if (!style.all && nth == kGroupsShown + 1)
        text += "  … and " + grouped(total[group.code] - kGroupsShown) + " more of this kind [" +
                code_name(group.code) + "]; -v and --report show all\n";
    }
  }
  return text;
}

std::string size_line(const FileReport& file) {
  std::string text = "  " + file.format + ", " + iec_size(file.bytes_before) + " → " + file.target + ", " +
                     iec_size(file.bytes_after) + "; " + counted(file.tensors, "tensor");
  if (file.outcome == Outcome::planned) return text + "; nothing written\n";
  return text + (file.verified ? "; verified\n" : "; not verified\n");
}

std::string table_row(std::string_view label, std::size_t count, std::string_view detail,
                      std::string_view sgr, bool color) {
  if (count == 0) return "";
  std::string number = grouped(count);
  number.insert(0, number.size() < 8 ? 8 - number.size() : 0, ' ');
  std::string text = "  " + painted(label, sgr, color) + std::string(10 - label.size(), ' ') + number;
  if (!detail.empty()) text += "   " + std::string(detail);
  return text + "\n";
}

}  // namespace

std::string one_line(const FileReport& file, const TextStyle& style) {
  const std::string_view name = outcome_name(file.outcome);
  std::string text =
      painted(name, outcome_color(file.outcome), style.color) + std::string(11 - name.size(), ' ');
  text += escape_for_terminal(file.source);
  if (file.error) {
    text += ": " + escape_for_terminal(file.error->summary());
    return text + " " + code_tag(file.error->code(), style) + "\n";
  }
  text += " → " + escape_for_terminal(file.destination) + "  " + sizes(file.bytes_before, file.bytes_after);
  return text + "  " + counted(count_changes(file), "change") + "\n";
}

std::string block(const FileReport& file, const TextStyle& style) {
  if (file.error) return one_line(file, style);
  return escape_for_terminal(file.source) + " → " + escape_for_terminal(file.destination) + "\n" +
         size_line(file) + change_lines(file, style);
}

std::string summary_table(const ConversionReport& report, const TextStyle& style) {
  const ConversionTotals sum = totals(report);
  const std::string moved = sizes(sum.bytes_before, sum.bytes_after);
  return counted(sum.files, "file") + "\n" + table_row("converted", sum.converted, moved, "32", style.color) +
         table_row("planned", sum.planned, moved, "", style.color) +
         table_row("skipped", sum.skipped, "no checkpoints", "33", style.color) +
         table_row("failed", sum.failed, "", "31", style.color) +
         table_row("refused", sum.refused, "unsafe: nothing was written for them", "31", style.color);
}

std::string text_report(const ConversionReport& report) {
  const TextStyle style{.color = false, .all = true};
  std::string text = "torchferry " + report.version + " convert, layout " + report.layout +
                     (report.dry_run ? ", dry run: nothing was written\n" : "\n") +
                     summary_table(report, style);
  for (const FileReport& file : report.files) {
    text += "\n" + block(file, style);
    if (file.error) text += "  " + std::string(file.error->what()) + "\n";
  }
  return text;
}

}  // namespace ferry::report
