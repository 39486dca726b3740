// A validation as JUnit XML: what Jenkins, GitLab and most others understand of it.
#include "src/core/text.h"
#include "src/report/html.h"
#include "src/report/validation.h"

namespace ferry::report {
namespace {

using policy::CaseStatus;
using policy::TestCase;

// Escaped for text and attributes.  What the rules of pages escape is what XML wants escaped; controls, which
// XML 1.0 cannot hold at all, are gone by then.  Two code points that are no characters are left to take out.
std::string xml(std::string_view text) {
  std::string out = html_escaped(text);
  for (const std::string_view none : {"\xef\xbf\xbe", "\xef\xbf\xbf"})
    for (std::size_t at = out.find(none); at != std::string::npos; at = out.find(none, at))
      out.replace(at, none.size(), "\xef\xbf\xbd");
  return out;
}

std::string counts(const policy::CaseTotals& sum) {
  return " tests=\"" + std::to_string(sum.all()) + "\" failures=\"" + std::to_string(sum.failed) +
         "\" errors=\"" + std::to_string(sum.errors) + "\" skipped=\"" + std::to_string(sum.skipped) +
         "\" time=\"0\"";
}

// Everything that is known, for those who open the case.
std::string body_of(const TestCase& one) {
  std::string text;
  for (const policy::CaseDetail& detail : one.details)
    text += xml(detail.subject) + (detail.subject.empty() ? "" : ": ") + xml(detail.what) + "\n";
  if (one.details_left_out > 0) text += "… and " + std::to_string(one.details_left_out) + " more\n";
  for (const std::string& cause : one.causes) text += "likely: " + xml(cause) + "\n";
  return text;
}

std::string element(std::string_view tag, const TestCase& one) {
  return "      <" + std::string(tag) + " type=\"" + case_code(one) + "\" message=\"" + xml(one.message) +
         "\">" + body_of(one) + "</" + std::string(tag) + ">\n";
}

std::string test_case(const policy::Suite& suite, const TestCase& one) {
  const std::string head = "    <testcase classname=\"" + xml(suite.name) + "\" name=\"" + xml(one.name) +
                           "\" file=\"" + xml(suite.after.empty() ? suite.before : suite.after) +
                           "\" time=\"0\"";
  switch (one.status) {
    case CaseStatus::failed:
      return head + ">\n" + element("failure", one) + "    </testcase>\n";
    case CaseStatus::error:
      return head + ">\n" + element("error", one) + "    </testcase>\n";
    case CaseStatus::skipped:
      return head + ">\n      <skipped message=\"" + xml(one.message) + "\"/>\n    </testcase>\n";
    case CaseStatus::passed:
      break;
  }
  return head + ">\n      <system-out>" + xml(one.message) + "</system-out>\n    </testcase>\n";
}

}  // namespace

std::string validation_junit(const policy::ValidationReport& report) {
  std::string text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"torchferry validate\"" +
                     counts(totals(report)) + ">\n";
  for (const policy::Suite& suite : report.suites) {
    text += "  <testsuite name=\"" + xml(suite.name) + "\"" + counts(totals(suite)) + ">\n";
    for (const TestCase& one : suite.cases) text += test_case(suite, one);
    text += "  </testsuite>\n";
  }
  return text + "</testsuites>\n";
}

}  // namespace ferry::report
