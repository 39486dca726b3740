// A validation as one JSON document.
#include "src/core/text.h"
#include "src/report/error_json.h"
#include "src/report/validation.h"

namespace ferry::report {
namespace {

using policy::Suite;
using policy::TestCase;

std::string_view verdict_word(int code) { return code == 0 ? "passed" : code == 1 ? "failed" : "error"; }

void write_totals(JsonWriter& json, const policy::CaseTotals& sum) {
  json.key("totals");
  json.begin_object(JsonWriter::Lines::one);
  json.field("checks", sum.all());
  json.field("passed", sum.passed);
  json.field("failed", sum.failed);
  json.field("errors", sum.errors);
  json.field("skipped", sum.skipped);
  json.end_object();
}

void write_case(JsonWriter& json, const TestCase& one) {
  json.begin_object();
  json.field("name", one.name);
  json.field("status", policy::status_name(one.status));
  if (const std::string code = case_code(one); !code.empty())
    json.field("code", code);
  else
    json.null_field("code");
  json.field("message", one.message);
  json.key("details");
  json.begin_array();
  for (const policy::CaseDetail& detail : one.details) {
    json.begin_object(JsonWriter::Lines::one);
    json.field("subject", detail.subject);
    json.field("what", detail.what);
    json.end_object();
  }
  json.end_array();
  json.field("details_left_out", one.details_left_out);
  paths_field(json, "causes", one.causes);
  if (one.error) error_field(json, *one.error);
  json.end_object();
}

void write_suite(JsonWriter& json, const Suite& suite) {
  json.begin_object();
  json.field("name", suite.name);
  json.field("before", suite.before);
  json.field("after", suite.after);
  json.field("status", verdict_word(exit_code(suite)));
  json.key("listed_changes");
  json.begin_array();
  for (const Change& change : suite.listed) {
    json.begin_object(JsonWriter::Lines::one);
    json.field("code", code_name(change.code));
    json.field("path", change.path);
    json.field("what", change.what);
    json.end_object();
  }
  json.end_array();
  json.key("cases");
  json.begin_array();
  for (const TestCase& one : suite.cases) write_case(json, one);
  json.end_array();
  json.end_object();
}

}  // namespace

void write_validation_json(const policy::ValidationReport& report, const JsonWriter::Put& put) {
  JsonWriter json(put);
  json.begin_object();
  json.field("schema", "torchferry.validate/1");
  json.field("version", report.version);
  json.field("status", verdict_word(exit_code(report)));
  json.field("exit_code", exit_code(report));
  json.field("bounds", report.bounds);
  write_totals(json, totals(report));
  json.key("suites");
  json.begin_array();
  for (const Suite& suite : report.suites) write_suite(json, suite);
  json.end_array();
  json.end_object();
  json.finish();
}

}  // namespace ferry::report
