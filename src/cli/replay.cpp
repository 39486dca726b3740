#include "src/cli/replay.h"

#include <cstdio>
#include <optional>

#include "formats/json/json.h"
#include "formats/pt2/reader.h"
#include "src/cli/destinations.h"
#include "src/cli/replay_factory.h"
#include "src/cli/replay_process.h"
#include "src/cli/terminal.h"
#include "src/core/bytes.h"
#include "src/core/error.h"
#include "src/core/text.h"
#include "src/report/json.h"

namespace ferry::cli {
namespace {

std::string request_line(const ReplayRequest& request) {
  const SourcePtr model = open_file(request.model);
  std::string line;
  report::JsonWriter json([&](std::string_view text) { line += text; }, report::JsonWriter::Style::compact);
  json.begin_object();
  json.field("protocol", "torchferry-replay/1");
  json.field("model", request.model);
  json.field("kind", pt2::looks_like_pt2(*model).matches ? "pt2" : "torchscript");
  json.field("golden", request.golden);
  json.field("out", request.out);
  if (!request.weights.empty()) json.field("weights", request.weights);
  if (!request.select.empty()) json.field("select", request.select);
  json.field("layout", request.keep_layout ? "keep" : "clean");
  json.field("device", request.device);
  json.key("runs");
  json.begin_array();
  for (const std::string& run : request.runs) json.value(run);
  json.end_array();
  json.field("taps", request.taps);
  json.field("samples", request.samples);
  json.field("threads", request.threads);
  json.field("repeats", request.repeats);
  if (!request.cases.empty()) {
    json.key("cases");
    json.begin_array();
    for (const std::size_t index : request.cases) json.value(index);
    json.end_array();
  }
  json.key("limits");
  json.begin_object();
  json.field("memory_mib", request.memory_mib);
  json.field("seconds", request.seconds);
  json.end_object();
  json.end_object();
  json.finish();
  while (!line.empty() && line.back() == '\n') line.pop_back();
  return line;
}

std::string text_in(const json::Value& event, std::string_view name) {
  const json::Value* value = event.find(name);
  return value != nullptr && value->text() != nullptr ? *value->text() : std::string();
}

Error error_of(const json::Value& event) {
  const CodeInfo* known = find_code(text_in(event, "code"));
  Error error(known != nullptr ? known->code : Code::model_failed, text_in(event, "what"));
  if (const std::string where = text_in(event, "where"); !where.empty()) error.in(where);
  if (const std::string file = text_in(event, "file"); !file.empty()) error.of(file);
  if (const std::string hint = text_in(event, "hint"); !hint.empty()) error.with_hint(hint);
  return error;
}

ReplayRun run_of(const json::Value& event) {
  ReplayRun run;
  if (const json::Value* index = event.find("case"); index != nullptr)
    run.case_index = static_cast<std::size_t>(index->natural().value_or(0));
  run.run = text_in(event, "run");
  run.error = text_in(event, "error");
  if (const json::Value* seconds = event.find("seconds"); seconds != nullptr)
    run.seconds = seconds->number().value_or(0);
  return run;
}

}  // namespace

ReplayOutcome run_replay(const ReplayRequest& request, const ReplayProgress& progress) {
  ReplayProcess process({find_replay_program()}, request_line(request) + "\n");
  ReplayOutcome outcome;
  std::optional<Error> failed;
  bool done = false;
  for (std::string line; process.read_line(line);) {
    const json::Value event = json::parse(line);
    const std::string kind = text_in(event, "event");
    if (kind == "started") {
      outcome.torch = text_in(event, "torch");
      outcome.device = text_in(event, "device");
    } else if (kind == "weights") {
      outcome.weights_path = text_in(event, "path");
    } else if (kind == "run") {
      outcome.runs.push_back(run_of(event));
      if (progress) progress(outcome.runs.back());
    } else if (kind == "error") {
      failed = error_of(event);
    } else if (kind == "done") {
      done = true;
    }
  }
  const int status = process.finish();
  if (failed) throw *failed;
  if (status != 0 || !done)
    throw Error(Code::model_failed, "torchferry-replay ended early, with status " + std::to_string(status))
        .of(request.model);
  return outcome;
}

// --- The verb

namespace {

void print_json(const ReplayRequest& request, const ReplayOutcome& outcome) {
  report::JsonWriter json([](std::string_view text) { print(text); });
  json.begin_object();
  json.field("schema", "torchferry.replay/1");
  json.field("model", request.model);
  json.field("out", request.out);
  json.field("torch", outcome.torch);
  json.field("device", outcome.device);
  if (!request.weights.empty()) json.field("weights", outcome.weights_path);
  json.key("runs");
  json.begin_array();
  for (const ReplayRun& run : outcome.runs) {
    json.begin_object(report::JsonWriter::Lines::one);
    json.field("case", run.case_index);
    json.field("run", run.run);
    json.field("seconds", run.seconds);
    json.field("error", run.error);
    json.end_object();
  }
  json.end_array();
  json.end_object();
  json.finish();
}

void print_run(const ReplayRun& run) {
  std::string line = "case " + std::to_string(run.case_index) + "  " + run.run;
  line += run.error.empty() ? "  done" : "  failed: " + escape_for_terminal(run.error);
  print(line + "\n");
}

}  // namespace

int run_replay_verb(const ReplayOptions& options) {
  const ReplayRequest& request = options.request;
  check_outputs({request.out}, {request.model, request.golden, request.weights}, options.force);
  if (!options.factory.empty()) return run_factory(options);
  const ReplayOutcome outcome =
      run_replay(options.request, options.json ? ReplayProgress() : ReplayProgress(print_run));
  if (options.json)
    print_json(options.request, outcome);
  else
    print(escape_for_terminal(options.request.out) + ": " + std::to_string(outcome.runs.size()) +
          " runs with torch " + outcome.torch + " on " + outcome.device + "\n");
  for (const ReplayRun& run : outcome.runs)
    if (!run.error.empty()) return 2;
  return 0;
}

}  // namespace ferry::cli
