// A difference as one JSON document, and the parts of it that are no tensors.
#include "src/report/difference_json.h"

#include "src/report/difference_words.h"

namespace ferry::report {
namespace {

template <typename Row>
void rows_field(JsonWriter& json, std::string_view key, const std::vector<Row>& rows,
                void (*fields)(JsonWriter&, const Row&)) {
  json.key(key);
  json.begin_array();
  for (const Row& row : rows) {
    json.begin_object();
    fields(json, row);
    json.end_object();
  }
  json.end_array();
}

void file_fields(JsonWriter& json, const FileDiff& file) {
  side_field(json, "before", file.before);
  side_field(json, "after", file.after);
  totals_field(json, totals(file));
  rows_field(json, "listed", file.listed, change_fields);
  rows_field(json, "tensors", file.tensors, tensor_fields);
  rows_field(json, "values", file.values, value_fields);
  rows_field(json, "tying", file.tying, tying_fields);
  rows_field(json, "remarks", file.remarks, remark_fields);
  if (file.error) error_field(json, *file.error);
}

void files_fields(JsonWriter& json, const DiffReport& report) {
  totals_field(json, totals(report));
  json.key("files");
  json.begin_array();
  for (const FileDiff& file : report.files) {
    json.begin_object();
    json.field("name", file.name);
    verdict_field(json, exit_code(file), verdict_name(verdict(file)), headline(file, report.bounds));
    file_fields(json, file);
    json.end_object();
  }
  json.end_array();
  paths_field(json, "only_before", report.only_before);
  paths_field(json, "only_after", report.only_after);
}

}  // namespace

void value_fields(JsonWriter& json, const ValueRow& row) {
  json.field("path", row.path);
  json.field("state", state_name(row.state));
  if (!is_added(row)) json.field("before", row.before);
  if (!is_removed(row)) json.field("after", row.after);
}

void tying_fields(JsonWriter& json, const TyingRow& row) {
  json.field("what", row.what);
  paths_field(json, "tied_before", row.tied_before);
  paths_field(json, "tied_after", row.tied_after);
}

void change_fields(JsonWriter& json, const Change& change) {
  json.field("code", code_name(change.code));
  json.field("path", change.path);
  json.field("what", change.what);
}

void remark_fields(JsonWriter& json, const DiffRemark& remark) {
  json.field("code", code_name(remark.code));
  json.field("path", remark.path);
  json.field("what", remark.what);
}

void verdict_field(JsonWriter& json, int exit_code, std::string_view state, std::string_view headline) {
  json.key("verdict");
  json.begin_object();
  json.field("exit_code", exit_code);
  json.field("state", state);
  json.field("headline", headline);
  json.end_object();
}

void side_field(JsonWriter& json, std::string_view key, const DiffSide& side) {
  json.key(key);
  json.begin_object();
  json.field("path", side.path);
  json.field("format", side.format);
  json.field("bytes", side.bytes);
  json.field("tensors", side.tensors);
  json.field("elements", side.elements);
  json.end_object();
}

void totals_field(JsonWriter& json, const DiffTotals& sum) {
  json.key("totals");
  json.begin_object();
  json.field("compared", sum.compared);
  json.field("equal", sum.equal);
  json.field("within", sum.within);
  json.field("differing", sum.differing);
  json.field("renamed", sum.renamed);
  json.field("incomparable", sum.incomparable);
  json.field("removed", sum.removed);
  json.field("added", sum.added);
  json.field("not_compared", sum.not_compared);
  json.field("values_compared", sum.values_compared);
  json.field("values_differing", sum.values_differing);
  json.field("values_not_compared", sum.values_not_compared);
  json.field("tying_changes", sum.tying_changes);
  json.field("elements", sum.elements);
  json.field("elements_differing", sum.elements_differing);
  json.end_object();
}

void write_diff_json(const DiffReport& report, const JsonWriter::Put& put) {
  JsonWriter json(put);
  json.begin_object();
  json.field("schema", "torchferry.diff/1");
  json.field("version", report.version);
  verdict_field(json, exit_code(report), verdict_name(verdict(report)), headline(report));
  json.field("bounds", report.bounds);
  if (is_single(report))
    file_fields(json, report.files[0]);
  else
    files_fields(json, report);
  json.field("blind_spots", blind_spots());
  json.end_object();
  json.finish();
}

}  // namespace ferry::report
