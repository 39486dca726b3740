#include "src/cli/inspect.h"

#include <algorithm>
#include <memory>
#include <new>
#include <optional>

#include "formats/formats.h"
#include "formats/salvage.h"
#include "formats/torch/fingerprint.h"
#include "src/cli/inspect_check.h"
#include "src/cli/inspect_stats.h"
#include "src/cli/loading.h"
#include "src/cli/recipes.h"
#include "src/cli/sources.h"
#include "src/cli/terminal.h"
#include "src/convert/rule.h"
#include "src/core/error.h"
#include "src/report/inspection.h"

namespace ferry::cli {
namespace {

constexpr int kRefused = 3, kFailed = 2;

int exit_of(const Error& error) { return error.fault() == Fault::refused ? kRefused : kFailed; }

report::WriterFacts describe_writer(const Checkpoint& checkpoint, const std::string& path) {
  const std::string& format = checkpoint.container.format;
  static constexpr std::string_view kOfTorch[] = {"torch zip", "legacy stream", "legacy tar",
                                                  "TorchScript archive"};
  if (std::find(std::begin(kOfTorch), std::end(kOfTorch), format) == std::end(kOfTorch)) return {};
  const torch::Fingerprint found = torch::find_fingerprint(checkpoint, path);
  const auto upper = [](const torch::Releases& releases) {
    return releases.to == torch::kLastRelease ? std::string() : torch::release_text(releases.to);
  };
  report::WriterFacts facts;
  facts.possible = torch::releases_text(found.possible);
  if (found.likely != found.possible) facts.likely = torch::releases_text(found.likely);
  facts.from = torch::release_text(found.possible.from);
  facts.to = upper(found.possible);
  facts.likely_from = torch::release_text(found.likely.from);
  facts.likely_to = upper(found.likely);
  facts.python = found.python;
  facts.tool = found.tool;
  facts.evidence = found.evidence;
  return facts;
}

report::LoadFacts describe_loading(const Checkpoint& checkpoint) {
  const loadable::Loadability verdict = judge_loading(checkpoint);
  report::LoadFacts facts;
  facts.loads = verdict.loads;
  facts.maps = verdict.maps;
  facts.maps_because = verdict.maps_because;
  facts.cautions = verdict.cautions;
  for (const loadable::Objection& one : verdict.objections)
    facts.objections.push_back({std::string(loadable::obstacle_name(one.obstacle)), one.subject, one.what});
  return facts;
}

std::vector<report::GlobalFacts> describe_globals(const Checkpoint& checkpoint) {
  std::vector<report::GlobalFacts> facts;
  for (const GlobalUse& use : checkpoint.globals.uses()) {
    report::GlobalFacts one;
    one.name = use.dotted();
    one.use = use.called && use.instantiated ? "called, instance"
              : use.called                   ? "called"
              : use.instantiated             ? "instance"
                                             : "named";
    const Trust trust = classify(use).trust;
    one.trust = trust == Trust::allowed ? "allowed" : trust == Trust::foreign ? "foreign" : "refused";
    one.accepted = weights_only_accepts(use.module, use.name);
    one.at = use.at;
    facts.push_back(std::move(one));
  }
  return facts;
}

// The rules run on the checkpoint in memory; what they log is what convert would do.
report::ConvertFacts try_rules(Checkpoint& checkpoint) {
  report::ConvertFacts facts;
  if (const auto suggestion = suggest_recipe(checkpoint.values)) {
    facts.recipe = suggestion->name;
    facts.recipe_because = suggestion->because;
  }
  try {
    convert::apply_rules(checkpoint, convert::RuleOptions{}, facts.changes);
  } catch (const Error& error) {
    facts.error = error;
  }
  return facts;
}

// What the file looked like, for one that cannot be opened.
std::string_view find_format(const ByteSource& source) {
  try {
    for (const Format& format : formats())
      if (format.probe(source).matches) return format.name == "something else" ? "" : format.name;
  } catch (const Error&) {
    // Said already by what failed before.
  }
  return "";
}

int inspect_opened(const std::string& path, Checkpoint& checkpoint, const InspectOptions& options,
                   report::InspectionReport& out) {
  report::Inspection file;
  file.path = path;
  file.size_bytes = checkpoint.source->size();
  file.checkpoint = &checkpoint;
  file.writer = describe_writer(checkpoint, path);
  file.load = describe_loading(checkpoint);
  file.modules = report::describe_modules(checkpoint);
  // Everything that can fail is done before the first line is printed.
  std::vector<report::StatisticsFacts> statistics;
  report::CheckFacts check;
  if (options.check) check = check_records(checkpoint, Limits{});
  if (options.stats && check.damages.empty()) statistics = measure_tensors(checkpoint);

  out.begin(file);
  if (options.globals) out.globals(describe_globals(checkpoint));
  if (options.stats && check.damages.empty()) out.statistics(statistics);
  if (options.check) out.check(check);
  out.end(try_rules(checkpoint));
  return check.damages.empty() ? 0 : kFailed;
}

// What is whole of a damaged file; nullopt where that is nothing, or where it is not known to be damaged.
std::optional<report::SalvageFacts> find_whole(const SourcePtr& source, const Error& error) {
  if (error.fault() != Fault::corrupt) return std::nullopt;
  try {
    Salvage salvage = salvage_checkpoint(source, Limits{});
    if (salvage.story.empty()) return std::nullopt;
    report::SalvageFacts facts{std::move(salvage.story), std::move(salvage.whole), {}};
    for (const Change& loss : salvage.losses.changes()) facts.lost.push_back({loss.path, loss.what});
    return facts;
  } catch (const Error&) {
    return std::nullopt;  // the message says why
  }
}

// Files that are no checkpoints are skipped where a folder or a pattern named them.
bool is_skipped(const SourceFile& file, const Error& error) {
  return !file.named && (error.code() == Code::unknown_format || error.code() == Code::not_a_checkpoint);
}

int inspect_file(const SourceFile& file, const InspectOptions& options, report::InspectionReport& out) {
  SourcePtr source;
  const auto fail = [&](Error error) {
    if (is_skipped(file, error)) return 0;
    error.of(file.path);
    print_error(error);
    const auto whole = source ? find_whole(source, error) : std::nullopt;
    if (source)
      out.failed(file.path, source->size(), find_format(*source), error, whole ? &*whole : nullptr);
    else if (options.json)
      out.failed(file.path, 0, "", error, nullptr);
    return exit_of(error);
  };
  try {
    source = open_file(file.path);
    Checkpoint checkpoint = open_checkpoint(source, Limits{});
    return inspect_opened(file.path, checkpoint, options, out);
  } catch (const Error& error) {
    return fail(error);
  } catch (const std::bad_alloc&) {
    return fail(Error(Code::out_of_memory, "there is not enough memory"));
  }
}

}  // namespace

int run_inspect(const InspectOptions& options) {
  report::InspectionStyle style;
  style.tree = options.tree;
  style.tensors = options.tensors;
  style.offsets = options.offsets;
  style.code = options.code;
  style.all = options.all;
  style.color = options.color;
  style.width = options.width;
  const std::vector<SourceFile> files =
      find_sources({.sources = options.paths, .output = {}, .files = {}, .skips = {}, .weights = true}, "");
  const bool lines = options.paths.size() > 1 || files.size() > 1;  // JSONL
  std::unique_ptr<report::InspectionReport> out;
  if (options.json)
    out = std::make_unique<report::InspectionJson>(
        print, lines ? report::JsonWriter::Style::compact : report::JsonWriter::Style::pretty, style);
  else
    out = std::make_unique<report::InspectionText>(print, style);
  int worst = 0;
  for (const SourceFile& file : files) worst = std::max(worst, inspect_file(file, options, *out));
  return worst;
}

}  // namespace ferry::cli
