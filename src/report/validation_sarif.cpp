// A validation as SARIF 2.1.0: what code scanning reads.
#include <algorithm>
#include <array>
#include <set>

#include "src/core/text.h"
#include "src/report/validation.h"

namespace ferry::report {
namespace {

using policy::CaseStatus;
using policy::Suite;
using policy::TestCase;

constexpr std::string_view kSchema =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

// A path as a relative or absolute URI reference: what is no letter, digit or one of -._~/ is
// percent-encoded.
std::string uri_of(std::string_view path) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~/").find(c) != std::string_view::npos;
    if (plain) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return out.starts_with("//") ? "/." + out : out;
}

bool is_result(const TestCase& one) {
  return one.status == CaseStatus::failed || one.status == CaseStatus::error;
}

// The codes that occur, in the order of the table.
std::vector<const CodeInfo*> rules_of(const policy::ValidationReport& report) {
  std::set<Code> used;
  for (const Suite& suite : report.suites)
    for (const TestCase& one : suite.cases)
      if (is_result(one)) used.insert(one.code);
  std::vector<const CodeInfo*> rules;
  for (const CodeInfo& row : all_codes())
    if (used.find(row.code) != used.end()) rules.push_back(&row);
  return rules;
}

void text_object(JsonWriter& json, std::string_view key, std::string_view text) {
  json.key(key);
  json.begin_object(JsonWriter::Lines::one);
  json.field("text", text);
  json.end_object();
}

void write_rule(JsonWriter& json, const CodeInfo& row) {
  json.begin_object();
  json.field("id", code_name(row.code));
  json.field("name", row.title);
  text_object(json, "shortDescription", row.title);
  text_object(json, "fullDescription", row.meaning);
  if (!row.hint.empty()) text_object(json, "help", row.hint);
  json.key("defaultConfiguration");
  json.begin_object(JsonWriter::Lines::one);
  json.field("level", "error");
  json.end_object();
  json.end_object();
}

std::string message_of(const Suite& suite, const TestCase& one) {
  constexpr std::size_t kSarifDetails = 10;
  std::string text =
      escape_for_terminal(suite.name) + ": " + one.name + ": " + escape_for_terminal(one.message);
  for (std::size_t i = 0; i < std::min(one.details.size(), kSarifDetails); ++i) {
    const policy::CaseDetail& detail = one.details[i];
    text += "\n- " + escape_for_terminal(detail.subject) + (detail.subject.empty() ? "" : ": ") +
            escape_for_terminal(detail.what);
  }
  for (const std::string& cause : one.causes) text += "\nlikely: " + escape_for_terminal(cause);
  return text;
}

void write_location(JsonWriter& json, const std::string& path) {
  json.key("locations");
  json.begin_array();
  json.begin_object();
  json.key("physicalLocation");
  json.begin_object();
  json.key("artifactLocation");
  json.begin_object(JsonWriter::Lines::one);
  json.field("uri", uri_of(path));
  json.end_object();
  json.key("region");  // code scanning wants one, and lines are all it knows
  json.begin_object(JsonWriter::Lines::one);
  json.field("startLine", 1);
  json.end_object();
  json.end_object();
  json.end_object();
  json.end_array();
}

void write_result(JsonWriter& json, const Suite& suite, const TestCase& one, std::size_t rule) {
  json.begin_object();
  json.field("ruleId", code_name(one.code));
  json.field("ruleIndex", rule);
  json.field("level", "error");
  text_object(json, "message", message_of(suite, one));
  write_location(json, suite.after.empty() ? suite.before : suite.after);
  json.key("partialFingerprints");
  json.begin_object(JsonWriter::Lines::one);
  json.field("torchferryCase/v1", suite.name + "/" + one.name);
  json.end_object();
  json.end_object();
}

void write_invocation(JsonWriter& json, const policy::ValidationReport& report) {
  json.key("invocations");
  json.begin_array();
  json.begin_object();
  json.field("executionSuccessful", totals(report).errors == 0);
  json.field("exitCode", exit_code(report));
  json.key("toolExecutionNotifications");
  json.begin_array();
  for (const Suite& suite : report.suites)
    for (const TestCase& one : suite.cases) {
      if (one.status != CaseStatus::skipped) continue;
      json.begin_object();
      json.field("level", "note");
      text_object(json, "message", message_of(suite, one));
      json.end_object();
    }
  json.end_array();
  json.end_object();
  json.end_array();
}

}  // namespace

void write_validation_sarif(const policy::ValidationReport& report, const JsonWriter::Put& put) {
  const std::vector<const CodeInfo*> rules = rules_of(report);
  JsonWriter json(put);
  json.begin_object();
  json.field("$schema", kSchema);
  json.field("version", "2.1.0");
  json.key("runs");
  json.begin_array();
  json.begin_object();
  json.key("tool");
  json.begin_object();
  json.key("driver");
  json.begin_object();
  json.field("name", "torchferry");
  json.field("semanticVersion", report.version);
  json.key("rules");
  json.begin_array();
  for (const CodeInfo* row : rules) write_rule(json, *row);
  json.end_array();
  json.end_object();
  json.end_object();
  write_invocation(json, report);
  json.key("results");
  json.begin_array();
  for (const Suite& suite : report.suites)
    for (const TestCase& one : suite.cases) {
      if (!is_result(one)) continue;
      const auto at = std::ranges::find(rules, one.code, &CodeInfo::code);
      write_result(json, suite, one, static_cast<std::size_t>(at - rules.begin()));
    }
  json.end_array();
  json.field("columnKind", "unicodeCodePoints");
  json.end_object();
  json.end_array();
  json.end_object();
  json.finish();
}

}  // namespace ferry::report
