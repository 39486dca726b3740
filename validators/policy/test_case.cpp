#include "validators/policy/test_case.h"

#include <algorithm>

namespace ferry::policy {

std::string_view status_name(CaseStatus status) {
  switch (status) {
    case CaseStatus::passed:
      return "passed";
    case CaseStatus::failed:
      return "failed";
    case CaseStatus::error:
      return "error";
    case CaseStatus::skipped:
      return "skipped";
  }
  return "";
}

void add_detail(TestCase& one, std::string subject, std::string what) {
  if (one.details.size() < kDetailsMost)
    one.details.push_back({std::move(subject), std::move(what)});
  else
    ++one.details_left_out;
}

namespace {

TestCase case_of(std::string_view name, CaseStatus status, std::string message) {
  TestCase one;
  one.name = name;
  one.status = status;
  one.message = std::move(message);
  return one;
}

}  // namespace

TestCase passed(std::string_view name, std::string message) {
  return case_of(name, CaseStatus::passed, std::move(message));
}

TestCase failed(std::string_view name, Code code, std::string message) {
  TestCase one = case_of(name, CaseStatus::failed, std::move(message));
  one.code = code;
  return one;
}

TestCase skipped(std::string_view name, std::string reason) {
  return case_of(name, CaseStatus::skipped, std::move(reason));
}

TestCase stopped(std::string_view name, const Error& error) {
  TestCase one = case_of(name, CaseStatus::error, error.what());
  one.code = error.code();
  one.error = error;
  return one;
}

CaseTotals totals(const Suite& suite) {
  CaseTotals sum;
  for (const TestCase& one : suite.cases) {
    sum.passed += one.status == CaseStatus::passed ? 1 : 0;
    sum.failed += one.status == CaseStatus::failed ? 1 : 0;
    sum.errors += one.status == CaseStatus::error ? 1 : 0;
    sum.skipped += one.status == CaseStatus::skipped ? 1 : 0;
  }
  return sum;
}

CaseTotals totals(const ValidationReport& report) {
  CaseTotals sum;
  for (const Suite& suite : report.suites) {
    const CaseTotals one = totals(suite);
    sum.passed += one.passed;
    sum.failed += one.failed;
    sum.errors += one.errors;
    sum.skipped += one.skipped;
  }
  return sum;
}

int exit_code(const TestCase& one) {
  switch (one.status) {
    case CaseStatus::failed:
      return 1;
    case CaseStatus::error:
      return one.error && one.error->fault() == Fault::refused ? 3 : 2;
    case CaseStatus::passed:
    case CaseStatus::skipped:
      return 0;
  }
  return 2;
}

int exit_code(const Suite& suite) {
  int worst = 0;
  for (const TestCase& one : suite.cases) worst = std::max(worst, exit_code(one));
  return worst;
}

int exit_code(const ValidationReport& report) {
  if (totals(report).all() == 0) return 2;
  int worst = 0;
  for (const Suite& suite : report.suites) worst = std::max(worst, exit_code(suite));
  return worst;
}

}  // namespace ferry::policy
