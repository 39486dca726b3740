// A validation as a job summary or a comment on a pull request.
#include <algorithm>

#include "src/core/text.h"
#include "src/report/inspection_tree.h"
#include "src/report/markdown.h"
#include "src/report/validation.h"

namespace ferry::report {
namespace {

using policy::CaseStatus;
using policy::Suite;
using policy::TestCase;

constexpr std::size_t kSuites = 50;  // with their cases; a job summary holds 1 MiB
constexpr std::size_t kDetails = 10;

std::string_view mark(CaseStatus status) {
  switch (status) {
    case CaseStatus::passed:
      return "✅";
    case CaseStatus::skipped:
      return "⏭️";
    case CaseStatus::failed:
      return "❌";
    case CaseStatus::error:
      return "💥";
  }
  return "";
}

std::string_view mark(int exit_code) { return exit_code == 0 ? "✅" : "❌"; }

std::string cell(const TestCase& one) {
  std::string text = markdown_text(one.message);
  if (const std::string code = case_code(one); !code.empty() && one.status == CaseStatus::failed)
    text += " " + code;
  const std::size_t shown = std::min(one.details.size(), kDetails);
  for (std::size_t i = 0; i < shown; ++i) {
    const policy::CaseDetail& detail = one.details[i];
    text += "<br>• " + (detail.subject.empty() ? "" : markdown_code(detail.subject) + " ") +
            markdown_text(detail.what);
  }
  const std::size_t left = one.details.size() - shown + one.details_left_out;
  if (left > 0) text += "<br>… and " + grouped(left) + " more";
  for (const std::string& cause : one.causes) text += "<br>↳ likely: " + markdown_text(cause);
  return text;
}

std::string cases_table(const Suite& suite) {
  std::string text = "| | check | |\n| :--- | :--- | :--- |\n";
  for (const TestCase* one : worst_cases_first(suite))
    text += "| " + std::string(mark(one->status)) + " | " + markdown_code(one->name) + " | " + cell(*one) +
            " |\n";
  return text;
}

std::string sides(const Suite& suite) {
  if (suite.before.empty() || suite.after.empty()) return markdown_code(suite.name);
  return markdown_code(suite.before) + " → " + markdown_code(suite.after);
}

std::string suite_block(const Suite& suite, bool open) {
  return "\n<details" + std::string(open ? " open" : "") + "><summary>" +
         std::string(mark(exit_code(suite))) + " " + sides(suite) + "</summary>\n\n" + cases_table(suite) +
         "\n</details>\n";
}

}  // namespace

std::string validation_markdown(const policy::ValidationReport& report) {
  std::string text =
      "### " + std::string(mark(exit_code(report))) + " " + markdown_text(validation_headline(report)) + "\n";
  const std::vector<const Suite*> suites = worst_suites_first(report);
  const std::size_t shown = std::min(suites.size(), kSuites);
  for (std::size_t i = 0; i < shown; ++i)
    text += suite_block(*suites[i], suites.size() == 1 || exit_code(*suites[i]) != 0);
  if (shown < suites.size()) text += "\n" + grouped(suites.size() - shown) + " more checkpoints\n";
  return text + "\n<sub>torchferry " + markdown_text(report.version) +
         " validate; bounds: " + markdown_text(report.bounds) + "</sub>\n";
}

}  // namespace ferry::report
