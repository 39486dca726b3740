#include "src/report/conversion.h"

#include <algorithm>
#include <map>
#include <utility>

#include "src/report/error_json.h"

namespace ferry::report {

std::string_view outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::converted:
      return "converted";
    case Outcome::planned:
      return "planned";
    case Outcome::skipped:
      return "skipped";
    case Outcome::failed:
      return "failed";
    case Outcome::refused:
      return "refused";
  }
  return "";
}

ConversionTotals totals(const ConversionReport& report) {
  ConversionTotals sum;
  for (const FileReport& file : report.files) {
    ++sum.files;
    sum.converted += file.outcome == Outcome::converted;
    sum.planned += file.outcome == Outcome::planned;
    sum.skipped += file.outcome == Outcome::skipped;
    sum.failed += file.outcome == Outcome::failed;
    sum.refused += file.outcome == Outcome::refused;
    if (file.outcome != Outcome::converted && file.outcome != Outcome::planned) continue;
    sum.bytes_before += file.bytes_before;
    sum.bytes_after += file.bytes_after;
  }
  return sum;
}

int exit_code(const FileReport& file) {
  if (file.outcome == Outcome::refused) return 3;
  if (file.outcome == Outcome::failed) return 2;
  return file.changes.has(Code::tensor_lost) || file.changes.has(Code::value_lost) ? 1 : 0;
}

bool nothing_found(const ConversionReport& report) { return totals(report).skipped == report.files.size(); }

int exit_code(const ConversionReport& report) {
  int worst = nothing_found(report) ? 2 : 0;
  for (const FileReport& file : report.files) worst = std::max(worst, exit_code(file));
  return worst;
}

std::vector<ChangeGroup> group_changes(const ChangeLog& log) {
  std::vector<ChangeGroup> groups;
  std::map<std::pair<Code, std::string_view>, std::size_t> index;
  for (const Change& change : log.changes()) {
    const auto [at, is_new] = index.try_emplace({change.code, change.what}, groups.size());
    if (is_new) groups.push_back({change.code, change.what, {}, &change.details});
    groups[at->second].paths.push_back(change.path);
  }
  return groups;
}

namespace {

void write_changes(JsonWriter& json, std::string_view name, const ChangeLog& log, bool remarks) {
  json.key(name);
  json.begin_array();
  for (const Change& change : log.changes()) {
    if (is_remark(change.code) != remarks) continue;
    json.begin_object(JsonWriter::Lines::one);
    json.field("code", code_name(change.code));
    json.field("path", change.path);
    json.field("what", change.what);
    if (!change.details.empty()) {
      json.key("details");
      json.begin_array();
      for (const std::string& detail : change.details) json.value(detail);
      json.end_array();
    }
    json.end_object();
  }
  json.end_array();
}

void write_file(JsonWriter& json, const FileReport& file) {
  const bool readable = file.outcome == Outcome::converted || file.outcome == Outcome::planned;
  json.begin_object();
  json.field("source", file.source);
  json.field("destination", file.destination);
  json.field("outcome", outcome_name(file.outcome));
  json.field("exit_code", exit_code(file));
  if (readable) {
    json.field("format", file.format);
    json.field("target", file.target);
    json.field("bytes_before", file.bytes_before);
    json.field("bytes_after", file.bytes_after);
    json.field("tensors", file.tensors);
    json.field("tensor_bytes", file.tensor_bytes);
    json.field("verified", file.verified);
    if (!file.source_hash.empty()) json.field("source_xxh3_128", file.source_hash);
    write_changes(json, "changes", file.changes, false);
    write_changes(json, "remarks", file.changes, true);
    if (!file.modules.empty()) write_modules(json, file.modules);
  }
  if (file.error) error_field(json, *file.error);
  json.end_object();
}

void write_totals(JsonWriter& json, const ConversionTotals& sum) {
  json.key("summary");
  json.begin_object();
  json.field("files", sum.files);
  json.field("converted", sum.converted);
  json.field("planned", sum.planned);
  json.field("skipped", sum.skipped);
  json.field("failed", sum.failed);
  json.field("refused", sum.refused);
  json.field("bytes_before", sum.bytes_before);
  json.field("bytes_after", sum.bytes_after);
  json.end_object();
}

}  // namespace

void write_json(const ConversionReport& report, const JsonWriter::Put& put) {
  JsonWriter json(put);
  json.begin_object();
  json.field("schema", "torchferry.convert/1");
  json.field("version", report.version);
  json.field("layout", report.layout);
  json.field("dry_run", report.dry_run);
  json.field("exit_code", exit_code(report));
  write_totals(json, totals(report));
  json.key("files");
  json.begin_array();
  for (const FileReport& file : report.files) write_file(json, file);
  json.end_array();
  json.end_object();
  json.finish();
}

}  // namespace ferry::report
