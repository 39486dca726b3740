#include "src/cli/explain.h"

#include "src/cli/terminal.h"
#include "src/config/known_changes.h"
#include "src/core/error.h"
#include "src/core/finding.h"
#include "src/core/text.h"
#include "src/report/error_json.h"
#include "src/report/json.h"

namespace ferry::cli {
namespace {

// What was asked for, in the order of asking: codes and changes may be mixed.
struct Topic {
  const CodeInfo* code = nullptr;
  const KnownChange* change = nullptr;
};

std::vector<Topic> topics_for(const ExplainOptions& options) {
  std::vector<Topic> topics;
  if (options.known_changes)
    for (const KnownChange& change : config::known_changes()) topics.push_back({nullptr, &change});
  else if (options.codes.empty())
    for (const CodeInfo& row : all_codes()) topics.push_back({&row, nullptr});
  for (const std::string& name : options.codes) {
    topics.push_back({find_code(name), config::find_known_change(name)});
    if (topics.back().code == nullptr && topics.back().change == nullptr)
      throw Error(Code::bad_usage, "there is no code and no known change " + quote(name))
          .with_hint("torchferry explain lists all codes, torchferry explain --known-changes all changes");
  }
  return topics;
}

// The kind in words, and the exit code that follows from it.
std::string consequence(const CodeInfo& row) {
  switch (row.fault) {
    case Fault::refused:
      return "refused for safety, exit code 3";
    case Fault::remark:
      return static_cast<unsigned>(row.code) < 600   ? "a change, no error"
             : static_cast<unsigned>(row.code) < 700 ? "a remark, no error"
                                                     : "a check of validate, exit code 1";
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

std::string kind_words(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::value:
      return "other values, silently";
    case ChangeKind::rounding:
      return "rounding";
    case ChangeKind::index:
      return "other indices where values tie";
    case ChangeKind::shape:
      return "another shape";
    case ChangeKind::dtype:
      return "another type";
    case ChangeKind::error:
      return "an error";
  }
  return "";
}

std::string releases(const KnownChange& change) {
  return change.from.empty() ? "whatever the release" : "PyTorch " + change.from + " → " + change.to;
}

std::string joined(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ", ") + item;
  return text;
}

std::string paragraph(const KnownChange& change) {
  std::string text =
      change.id + "  " + change.title + " (" + releases(change) + ": " + kind_words(change.kind) + ")\n\n  ";
  text += change.text + "\n";
  const auto line = [&](std::string_view label, const std::string& content) {
    if (!content.empty()) text += "  " + std::string(label) + ": " + content + "\n";
  };
  text += "\n";
  line("cure", change.cure);
  if (change.most > 0)
    line("drift", real_text(change.least) + " to " + real_text(change.most) + " of the output, relative" +
                      (change.edge_inputs ? "; on zeros, silence, ties and hardly elsewhere" : "") +
                      (change.cuda_only ? "; on GPUs only" : ""));
  line("modules", joined(change.modules));
  line("operations", joined(change.ops));
  line("see", change.link);
  return text;
}

void code_json(report::JsonWriter& json, const CodeInfo& row) {
  json.begin_object();
  json.field("code", code_name(row.code));
  json.field("fault", fault_name(row.fault));
  json.field("title", row.title);
  json.field("meaning", row.meaning);
  json.field("hint", row.hint);
  json.end_object();
}

void change_json(report::JsonWriter& json, const KnownChange& change) {
  json.begin_object();
  json.field("id", change.id);
  json.field("title", change.title);
  json.field("from", change.from);
  json.field("to", change.to);
  json.field("kind", change_kind_name(change.kind));
  json.field("drift_least", change.least);
  json.field("drift_most", change.most);
  json.field("cuda_only", change.cuda_only);
  json.field("edge_inputs", change.edge_inputs);
  json.field("weights", change.weights);
  report::paths_field(json, "ops", change.ops);
  report::paths_field(json, "modules", change.modules);
  json.field("text", change.text);
  json.field("cure", change.cure);
  json.field("link", change.link);
  json.end_object();
}

void print_json(const std::vector<Topic>& topics) {
  report::JsonWriter json(print);
  json.begin_object();
  json.field("schema", "torchferry.explain/1");
  json.key("codes");
  json.begin_array();
  for (const Topic& topic : topics)
    if (topic.code != nullptr) code_json(json, *topic.code);
  json.end_array();
  json.key("known_changes");
  json.begin_array();
  for (const Topic& topic : topics)
    if (topic.change != nullptr) change_json(json, *topic.change);
  json.end_array();
  json.end_object();
  json.finish();
}

std::string line(const Topic& topic) {
  if (topic.code != nullptr)
    return code_name(topic.code->code) + "  " + std::string(topic.code->title) + "\n";
  return topic.change->id + "  " + topic.change->title + " (" + releases(*topic.change) + ")\n";
}

}  // namespace

int run_explain(const ExplainOptions& options) {
  const std::vector<Topic> topics = topics_for(options);
  if (options.json) {
    print_json(topics);
    return 0;
  }
  const bool list = options.codes.empty();
  for (const Topic& topic : topics) {
    if (!list && &topic != &topics.front()) print("\n");
    print(list ? line(topic) : topic.code != nullptr ? paragraph(*topic.code) : paragraph(*topic.change));
  }
  return 0;
}

}  // namespace ferry::cli
