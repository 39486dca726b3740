// A validation for people and for the programs of CI; the record is policy::ValidationReport.
//
// No clock, no host name, no absolute path that was not given: the same checks give the same bytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "src/report/json.h"
#include "validators/policy/test_case.h"

namespace ferry::report {

// "passed: 6 checks of 1 checkpoint, 1 skipped", safe to print.
std::string validation_headline(const policy::ValidationReport& report);
// Suites, the worst first, and their cases, the worst first; otherwise in their own order.
std::vector<const policy::Suite*> worst_suites_first(const policy::ValidationReport& report);
std::vector<const policy::TestCase*> worst_cases_first(const policy::Suite& suite);
// "TF703"; empty for cases that have no code.
std::string case_code(const policy::TestCase& one);

struct ValidationStyle {
  bool color = false;
  bool all = false;       // every case of every suite, every detail
  std::size_t width = 0;  // columns; 0: never cut
};
std::string validation_text(const policy::ValidationReport& report, const ValidationStyle& style);
// One document, "schema": "torchferry.validate/1".
void write_validation_json(const policy::ValidationReport& report, const JsonWriter::Put& put);
// JUnit XML as Jenkins, GitLab and GitHub read it: a suite a checkpoint, a test case a check.
std::string validation_junit(const policy::ValidationReport& report);
// SARIF 2.1.0: a rule for every kind of finding, a result for every case that failed.
void write_validation_sarif(const policy::ValidationReport& report, const JsonWriter::Put& put);
// For job summaries and comments on pull requests.
std::string validation_markdown(const policy::ValidationReport& report);
std::string validation_html(const policy::ValidationReport& report);
// Workflow commands of GitHub, a line for every case that failed.
std::string validation_annotations(const policy::ValidationReport& report);

}  // namespace ferry::report
