#include "src/cli/replay_factory.h"

#include <algorithm>

#include "src/cli/recorder.h"
#include "src/cli/replay_process.h"
#include "src/cli/terminal.h"
#include "src/core/error.h"
#include "src/core/text.h"
#include "src/report/json.h"

namespace ferry::cli {
namespace {

[[noreturn]] void refuse(const std::string& what) {
  throw Error(Code::bad_usage, what).with_hint("export the model (recorder --export) and replay the archive");
}

void print_done(const ReplayOptions& options) {
  if (!options.json)
    return print(escape_for_terminal(options.request.out) + ": recorded by " +
                 escape_for_terminal(options.python) + " from " + escape_for_terminal(options.factory) +
                 "\n");
  report::JsonWriter json([](std::string_view text) { print(text); });
  json.begin_object();
  json.field("schema", "torchferry.replay/1");
  json.field("factory", options.factory);
  json.field("python", options.python);
  json.field("out", options.request.out);
  json.end_object();
  json.finish();
}

}  // namespace

std::vector<std::string> recorder_command(const ReplayOptions& options) {
  const ReplayRequest& request = options.request;
  std::string runs;
  for (const std::string& run : request.runs) {
    if (run != "f32" && run != "f64") refuse("a factory runs in f32 and f64, not in " + quote(run));
    runs += (runs.empty() ? "" : ",") + run;
  }
  if (request.taps == "ops") refuse("a factory has modules to listen to, no operators");
  if (!request.cases.empty()) refuse("a factory runs all cases of the golden");
  if (request.memory_mib != 0 || request.seconds != 0) refuse("a factory runs without limits");
  std::vector<std::string> words = {options.python, "-",
                                    "--factory",    options.factory,
                                    "--inputs",     request.golden,
                                    "--run",        runs,
                                    "--repeats",    std::to_string(request.repeats),
                                    "--samples",    std::to_string(request.samples),
                                    "--output",     request.out,
                                    "--quiet"};
  const auto add = [&](std::initializer_list<std::string> more) { words.insert(words.end(), more); };
  if (options.force) add({"--force"});
  if (!options.kwargs.empty()) add({"--kwargs", options.kwargs});
  if (!request.weights.empty()) add({"--checkpoint", request.weights});
  if (!request.select.empty()) add({"--key", request.select});
  if (request.device != "auto") add({"--device", request.device});
  if (request.threads != 0) add({"--threads", std::to_string(request.threads)});
  if (request.taps == "none") add({"--no-modules"});
  return words;
}

int run_factory(const ReplayOptions& options) {
  ReplayProcess process(recorder_command(options), recorder_text());
  for (std::string line; process.read_line(line);) continue;
  if (process.finish() != 0) {
    std::string said = process.last_complaint();
    constexpr std::string_view kPrefix = "recorder: error: ";
    if (said.starts_with(kPrefix)) said.erase(0, kPrefix.size());
    throw Error(Code::model_failed, "the recorder could not run the factory: " + said).of(options.factory);
  }
  print_done(options);
  return 0;
}

}  // namespace ferry::cli
