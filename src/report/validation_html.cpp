// A validation as one page that needs nothing else.
#include <algorithm>

#include "src/core/text.h"
#include "src/report/difference_page.h"
#include "src/report/html.h"
#include "src/report/inspection_tree.h"
#include "src/report/validation.h"

namespace ferry::report {
namespace {

using policy::CaseStatus;
using policy::Suite;
using policy::TestCase;

constexpr std::size_t kSuitesMost = 500;

constexpr std::string_view kHead = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
)";

// Beside the style of all pages: a row a check.
constexpr std::string_view kStyle = R"css(
.checks { display: grid; gap: .6rem; margin-top: .9rem; padding: 0; list-style: none; }
.check { display: grid; grid-template-columns: 5.5rem minmax(0, 1fr); gap: .1rem 1rem; background: var(--card);
  border: 1px solid var(--line); border-left: 4px solid var(--tone); border-radius: 10px; padding: .7rem 1rem; }
.check.rest { --tone: var(--rest); }
.check > b { color: var(--tone); font-size: .82rem; text-transform: uppercase; letter-spacing: .05em;
  padding-top: .15rem; }
.check.rest > b { color: var(--soft); }
.check p { overflow-wrap: anywhere; }
.check ul { margin: .4rem 0 0; padding-left: 1.1rem; font-size: .88rem; overflow-wrap: anywhere; }
.likely { color: var(--soft); margin-top: .3rem; }
@media (max-width: 34rem) { .check { grid-template-columns: 1fr; } }
)css";

std::string_view tone(CaseStatus status) {
  switch (status) {
    case CaseStatus::passed:
      return "good";
    case CaseStatus::skipped:
      return "rest";
    case CaseStatus::failed:
    case CaseStatus::error:
      break;
  }
  return "bad";
}

std::string details_of(const TestCase& one) {
  if (one.details.empty()) return "";
  std::string text = "<ul>";
  for (const policy::CaseDetail& detail : one.details)
    text += "<li>" + (detail.subject.empty() ? "" : name_tag(detail.subject) + " ") +
            html_escaped(detail.what) + "</li>\n";
  if (one.details_left_out > 0) text += "<li>… and " + grouped(one.details_left_out) + " more</li>";
  return text + "</ul>";
}

std::string check(const TestCase& one) {
  std::string text = "<li class=\"check " + std::string(tone(one.status)) + "\"><b>" +
                     std::string(status_name(one.status)) + "</b><div><p>" + name_tag(one.name) + " ";
  if (const std::string code = case_code(one); !code.empty())
    text += "<small title=\"" + html_escaped(info(one.code).meaning) + "\">" + code + "</small> ";
  text += "</p><p>" + html_escaped(one.message) + "</p>" + details_of(one);
  for (const std::string& cause : one.causes)
    text += "<p class=\"likely\">likely: " + html_escaped(cause) + "</p>";
  return text + "</div></li>\n";
}

std::string listed(const Suite& suite) {
  if (suite.listed.empty()) return "";
  std::string text = "<details><summary>" + plural(suite.listed.size(), "listed change", "listed changes") +
                     " of the conversion</summary><ul class=\"lines\">\n";
  for (const Change& change : suite.listed)
    text += "<li><b title=\"" + html_escaped(info(change.code).meaning) + "\">" + code_name(change.code) +
            "</b> " + (change.path.empty() ? "" : name_tag(change.path) + " ") + html_escaped(change.what) +
            "</li>\n";
  return text + "</ul></details>\n";
}

std::string section(const Suite& suite) {
  std::string text = "<section><h2>" + html_escaped(suite.name) + "</h2>\n<p class=\"small\">";
  text += suite.before.empty() ? "" : name_tag(suite.before);
  text += suite.before.empty() || suite.after.empty() ? "" : " → ";
  text += (suite.after.empty() ? "" : name_tag(suite.after)) + "</p>\n<ul class=\"checks\">\n";
  for (const TestCase* one : worst_cases_first(suite)) text += check(*one);
  return text + "</ul>\n" + listed(suite) + "</section>\n";
}

std::string tile(std::string_view label, std::size_t count) {
  return "<div><dt>" + std::string(label) + "</dt><dd>" + grouped(count) + "</dd></div>\n";
}

std::string banner(const policy::ValidationReport& report) {
  const bool good = exit_code(report) == 0;
  const policy::CaseTotals sum = totals(report);
  const std::string said = validation_headline(report);
  const std::size_t colon = said.find(':');
  const std::string_view sign =
      good ? "M15 25.5 21.5 32 33.5 17" : "M16.5 16.5 31.5 31.5M31.5 16.5 16.5 31.5";
  return "<header class=\"banner " + std::string(good ? "good" : "bad") +
         "\">\n<svg class=\"sign\" width=\"48\" height=\"48\" aria-hidden=\"true\"><circle cx=\"24\" "
         "cy=\"24\" "
         "r=\"22\"/><path d=\"" +
         std::string(sign) + "\"/></svg>\n<div><p class=\"over-line\">torchferry validate</p><h1>" +
         html_escaped(said.substr(0, colon)) + "</h1><p class=\"lead\">" +
         html_escaped(said.substr(colon + 2)) + "</p></div>\n<dl class=\"tiles\">\n" +
         tile("passed", sum.passed) + tile("failed", sum.failed) + tile("errors", sum.errors) +
         tile("skipped", sum.skipped) + "</dl>\n</header>\n";
}

}  // namespace

std::string validation_html(const policy::ValidationReport& report) {
  std::string page(kHead);
  const std::string said = validation_headline(report);
  page += "<title>torchferry validate: " + html_escaped(said.substr(0, said.find(':'))) +
          "</title>\n<style>\n" + std::string(kPageStyle) + std::string(kStyle) +
          "</style>\n</head>\n<body>\n<main>\n" + banner(report);
  const std::vector<const Suite*> suites = worst_suites_first(report);
  const std::size_t shown = std::min(suites.size(), kSuitesMost);
  for (std::size_t i = 0; i < shown; ++i) page += section(*suites[i]);
  if (shown < suites.size())
    page += "<p class=\"small\">" + grouped(suites.size() - shown) +
            " more checkpoints passed, which the JSON report has.</p>\n";
  page += "<footer>torchferry " + html_escaped(report.version) + " · bounds: " + html_escaped(report.bounds) +
          " · exit code " + std::to_string(exit_code(report)) + "</footer>\n</main>\n</body>\n</html>\n";
  return page;
}

}  // namespace ferry::report
