// A difference line by line: programs can filter it without holding it.
#include "src/report/difference_json.h"
#include "src/report/difference_words.h"

namespace ferry::report {
namespace {

class DiffLines {
 public:
  DiffLines(const DiffReport& report, const JsonWriter::Put& put) : report_(report), put_(put) {}

  void write() {
    const bool single = is_single(report_);
    for (const FileDiff& file : report_.files) {
      rows("listed", file, file.listed, change_fields);
      rows("tensor", file, file.tensors, tensor_fields);
      rows("value", file, file.values, value_fields);
      rows("tying", file, file.tying, tying_fields);
      rows("remark", file, file.remarks, remark_fields);
      if (!single) file_summary(file);
    }
    summary(single ? &report_.files[0] : nullptr);
  }

 private:
  template <typename Row>
  void rows(std::string_view kind, const FileDiff& file, const std::vector<Row>& rows,
            void (*fields)(JsonWriter&, const Row&)) {
    for (const Row& row : rows) line(kind, file.name, [&](JsonWriter& json) { fields(json, row); });
  }

  template <typename Fields>
  void line(std::string_view kind, const std::string& file, Fields fields) {
    JsonWriter json(put_, JsonWriter::Style::compact);
    json.begin_object();
    json.field("kind", kind);
    if (!file.empty()) json.field("file", file);
    fields(json);
    json.end_object();
    json.finish();
  }

  static void sides(JsonWriter& json, const FileDiff& file) {
    side_field(json, "before", file.before);
    side_field(json, "after", file.after);
    if (file.error) error_field(json, *file.error);
  }

  void file_summary(const FileDiff& file) {
    line("summary", file.name, [&](JsonWriter& json) {
      verdict_field(json, exit_code(file), verdict_name(verdict(file)), headline(file, report_.bounds));
      totals_field(json, totals(file));
      sides(json, file);
    });
  }

  // The last line; of one file with its sides.
  void summary(const FileDiff* only) {
    line("summary", "", [&](JsonWriter& json) {
      json.field("schema", "torchferry.diff/1");
      json.field("version", report_.version);
      verdict_field(json, exit_code(report_), verdict_name(verdict(report_)), headline(report_));
      json.field("bounds", report_.bounds);
      totals_field(json, totals(report_));
      if (only != nullptr) {
        sides(json, *only);
      } else {
        json.field("files", report_.files.size());
        paths_field(json, "only_before", report_.only_before);
        paths_field(json, "only_after", report_.only_after);
      }
      json.field("blind_spots", blind_spots());
    });
  }

  const DiffReport& report_;
  const JsonWriter::Put& put_;
};

}  // namespace

void write_diff_jsonl(const DiffReport& report, const JsonWriter::Put& put) {
  DiffLines(report, put).write();
}

}  // namespace ferry::report
