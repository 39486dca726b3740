#include "src/report/validation.h"

#include <algorithm>

#include "src/core/text.h"
#include "src/report/inspection_tree.h"

namespace ferry::report {
namespace {

using policy::CaseStatus;
using policy::TestCase;

// Where a case stands among others: errors, failures, skips, passes.
int rank(const TestCase& one) {
  switch (one.status) {
    case CaseStatus::error:
      return 0;
    case CaseStatus::failed:
      return 1;
    case CaseStatus::skipped:
      return 2;
    case CaseStatus::passed:
      return 3;
  }
  return 3;
}

}  // namespace

std::string validation_headline(const policy::ValidationReport& report) {
  const policy::CaseTotals sum = totals(report);
  const std::size_t bad = sum.failed + sum.errors, made = sum.all() - sum.skipped;
  const std::string where = " of " + plural(report.suites.size(), "checkpoint", "checkpoints");
  const std::string skips = sum.skipped == 0 ? "" : ", " + grouped(sum.skipped) + " skipped";
  if (sum.all() == 0) return "error: nothing was checked";
  if (bad == 0) return "passed: " + plural(made, "check", "checks") + where + skips;
  std::string said = sum.failed == 0 ? "error: " : "failed: ";
  said += grouped(bad) + " of " + plural(made, "check", "checks") + where;
  if (sum.failed > 0 && sum.errors > 0) said += ", " + plural(sum.errors, "error", "errors") + " among them";
  return said + skips;
}

std::vector<const policy::Suite*> worst_suites_first(const policy::ValidationReport& report) {
  std::vector<const policy::Suite*> suites;
  for (const policy::Suite& suite : report.suites) suites.push_back(&suite);
  std::ranges::stable_sort(
      suites, [](const policy::Suite* a, const policy::Suite* b) { return exit_code(*a) > exit_code(*b); });
  return suites;
}

std::vector<const TestCase*> worst_cases_first(const policy::Suite& suite) {
  std::vector<const TestCase*> cases;
  for (const TestCase& one : suite.cases) cases.push_back(&one);
  std::ranges::stable_sort(cases, [](const TestCase* a, const TestCase* b) { return rank(*a) < rank(*b); });
  return cases;
}

std::string case_code(const TestCase& one) {
  const bool has = one.status == CaseStatus::failed || one.status == CaseStatus::error;
  return has ? code_name(one.code) : "";
}

}  // namespace ferry::report
