#include "src/cli/explain.h"

#include "src/cli/terminal.h"
#include "src/core/error.h"
#include "src/core/finding.h"
#include "src/core/text.h"
#include "src/report/json.h"

namespace ferry::cli {
namespace {

std::vector<const CodeInfo*> rows_for(const std::vector<std::string>& codes) {
  std::vector<const CodeInfo*> rows;
  if (codes.empty())
    for (const CodeInfo& row : all_codes()) rows.push_back(&row);
  for (const std::string& code : codes) {
    rows.push_back(find_code(code));
    if (rows.back() == nullptr)
      throw Error(Code::bad_usage, "there is no code " + quote(code))
          .with_hint("torchferry explain lists all codes");
  }
  return rows;
}

// The kind in words, and the exit code that follows from it.
std::string consequence(const CodeInfo& row) {
  switch (row.fault) {
    case Fault::refused:
      return "refused for safety, exit code 3";
    case Fault::remark:
      return static_cast<unsigned>(row.code) < 600 ? "a change, no error" : "a remark, no error";
    default:
      return std::string(fault_name(row.fault)) + " error, exit code 2";
  }
}

std::string paragraph(const CodeInfo& row) {
  std::string text =
      code_name(row.code) + "  " + std::string(row.title) + " (" + consequence(row) + ")\n\n  ";
  text += std::string(row.meaning) + "\n";
  if (!row.hint.empty()) text += "\n  hint: " + std::string(row.hint) + "\n";
  return text;
}

void print_json(const std::vector<const CodeInfo*>& rows) {
  report::JsonWriter json(print);
  json.begin_object();
  json.field("schema", "torchferry.explain/1");
  json.key("codes");
  json.begin_array();
  for (const CodeInfo* row : rows) {
    json.begin_object();
    json.field("code", code_name(row->code));
    json.field("fault", fault_name(row->fault));
    json.field("title", row->title);
    json.field("meaning", row->meaning);
    json.field("hint", row->hint);
    json.end_object();
  }
  json.end_array();
  json.end_object();
  json.finish();
}

}  // namespace

int run_explain(const ExplainOptions& options) {
  const std::vector<const CodeInfo*> rows = rows_for(options.codes);
  if (options.json) {
    print_json(rows);
  } else if (options.codes.empty()) {
    for (const CodeInfo* row : rows) print(code_name(row->code) + "  " + std::string(row->title) + "\n");
  } else {
    for (const CodeInfo* row : rows) {
      if (row != rows.front()) print("\n");
      print(paragraph(*row));
    }
  }
  return 0;
}

}  // namespace ferry::cli
