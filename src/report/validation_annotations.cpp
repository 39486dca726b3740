// Workflow commands of GitHub Actions: lines that become annotations of the run.
#include <algorithm>

#include "src/core/text.h"
#include "src/report/validation.h"

namespace ferry::report {
namespace {

using policy::CaseStatus;
using policy::TestCase;

constexpr std::size_t kMost = 10;  // GitHub shows no more of one step

// https://github.com/actions/toolkit, packages/core/src/command.ts: the message, and its properties.
std::string escaped(std::string_view text, bool property) {
  std::string out;
  for (const char c : escape_for_terminal(text)) {
    if (c == '%')
      out += "%25";
    else if (property && c == ':')
      out += "%3A";
    else if (property && c == ',')
      out += "%2C";
    else
      out += c;
  }
  return out;
}

std::string line_of(const policy::Suite& suite, const TestCase& one) {
  std::string message = one.message;
  for (const std::string& cause : one.causes) message += "; likely: " + cause;
  return "::error title=" + escaped(case_code(one) + " " + one.name, true) +
         ",file=" + escaped(suite.after.empty() ? suite.before : suite.after, true) +
         "::" + escaped(suite.name + ": " + message, false) + "\n";
}

}  // namespace

std::string validation_annotations(const policy::ValidationReport& report) {
  std::string text;
  std::size_t count = 0;
  for (const policy::Suite& suite : report.suites)
    for (const TestCase& one : suite.cases)
      if ((one.status == CaseStatus::failed || one.status == CaseStatus::error) && ++count <= kMost)
        text += line_of(suite, one);
  if (count > kMost)
    text +=
        "::error title=torchferry validate::" + grouped(count - kMost) + " more failures, see the summary\n";
  return text;
}

}  // namespace ferry::report
