// The conversion report as one page that needs nothing else.
#include "src/core/text.h"
#include "src/report/conversion.h"
#include "src/report/html.h"

namespace ferry::report {
namespace {

constexpr std::string_view kConversionHead = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>torchferry convert</title>
<style>
:root { color-scheme: light dark; --line: #8884; --good: #1a7f37; --bad: #cf222e; --odd: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --good: #4ac26b; --bad: #ff7b72; --odd: #d4a72c; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem; border-bottom: 1px solid var(--line); }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
code { font: 13px/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
summary { cursor: pointer; padding: .3rem 0; }
details { border-bottom: 1px solid var(--line); }
.converted { color: var(--good); } .failed, .refused { color: var(--bad); } .skipped { color: var(--odd); }
</style>
</head>
<body>
)";

std::string code_tag(std::string_view text) { return "<code>" + html_escaped(text) + "</code>"; }

std::string labelled(Outcome outcome) {
  const std::string name(outcome_name(outcome));
  return "<span class=\"" + name + "\">" + name + "</span>";
}

std::string summary_rows(const ConversionReport& report) {
  const ConversionTotals sum = totals(report);
  std::string text = "<table>\n<tr><th>Outcome</th><th>Files</th></tr>\n";
  const auto row = [&](Outcome outcome, std::size_t count) {
    if (count == 0) return;
    text += "<tr><td>" + labelled(outcome) + "</td><td class=\"number\">" + grouped(count) + "</td></tr>\n";
  };
  row(Outcome::converted, sum.converted);
  row(Outcome::planned, sum.planned);
  row(Outcome::skipped, sum.skipped);
  row(Outcome::failed, sum.failed);
  row(Outcome::refused, sum.refused);
  return text + "</table>\n<p>" + iec_size(sum.bytes_before) + " → " + iec_size(sum.bytes_after) + "</p>\n";
}

std::string detail_list(const std::vector<std::string>& details) {
  if (details.empty()) return "";
  std::string text = "<details><summary>all " + grouped(details.size()) + "</summary>";
  for (const std::string& detail : details) text += html_escaped(detail) + "<br>";
  return text + "</details>";
}

std::string change_table(const FileReport& file) {
  const std::vector<ChangeGroup> groups = group_changes(file.changes);
  if (groups.empty()) return "<p>No changes.</p>\n";
  std::string text = "<table>\n<tr><th>Code</th><th>Change</th><th>Where</th></tr>\n";
  for (const ChangeGroup& group : groups) {
    text += "<tr><td title=\"" + html_escaped(info(group.code).meaning) + "\">" + code_name(group.code) +
            "</td><td>" + html_escaped(group.what) + detail_list(*group.details) + "</td><td>";
    for (std::size_t i = 0; i < group.paths.size(); ++i)
      text += (i == 0 ? "" : ", ") + code_tag(group.paths[i].empty() ? "(the checkpoint)" : group.paths[i]);
    text += "</td></tr>\n";
  }
  return text + "</table>\n";
}

std::string file_section(const FileReport& file, bool open) {
  std::string text = std::string("<details") + (open ? " open" : "") + "><summary>" + labelled(file.outcome) +
                     " " + code_tag(file.source);
  if (file.error) return text + "</summary>\n<p>" + html_escaped(file.error->what()) + "</p>\n</details>\n";
  text += " → " + code_tag(file.destination) + "</summary>\n<p>" + html_escaped(file.format) + ", " +
          grouped(file.bytes_before) + " bytes → " + file.target + ", " + grouped(file.bytes_after) +
          " bytes; " + grouped(file.tensors) + " tensors in " + grouped(file.tensor_bytes) + " bytes";
  if (file.outcome == Outcome::converted) text += file.verified ? "; verified" : "; not verified";
  text += "</p>\n";
  if (!file.source_hash.empty())
    text += "<p>XXH3-128 of the source: " + code_tag(file.source_hash) + "</p>\n";
  return text + change_table(file) + "</details>\n";
}

}  // namespace

std::string html_report(const ConversionReport& report) {
  std::string page(kConversionHead);
  page += "<h1>torchferry convert</h1>\n<p>torchferry " + html_escaped(report.version) + ", layout " +
          html_escaped(report.layout) + (report.dry_run ? "; dry run: nothing was written" : "") + "</p>\n" +
          summary_rows(report) + "<h2>Files</h2>\n";
  const bool open = report.files.size() <= 3;
  for (const FileReport& file : report.files) page += file_section(file, open || file.error.has_value());
  return page + "</body>\n</html>\n";
}

}  // namespace ferry::report
