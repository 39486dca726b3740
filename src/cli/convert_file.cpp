#include "src/cli/convert_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <optional>
#include <system_error>

#include "formats/copy/copy.h"
#include "formats/copy/indices.h"
#include "formats/copy/source_tap.h"
#include "formats/formats.h"
#include "formats/salvage.h"
#include "formats/torch/write.h"
#include "src/cli/conversion.h"
#include "src/cli/outputs.h"
#include "src/cli/recipes.h"
#include "src/convert/rule.h"
#include "src/core/error.h"
#include "src/core/limits.h"
#include "src/core/sink.h"
#include "src/core/version.h"
#include "src/hash/xxh3.h"

namespace ferry::cli {
namespace {

class SourceXxh3 final : public copy::SourceHash {
 public:
  void update(Bytes bytes) override { stream_.update(bytes); }
  std::string hex() override { return stream_.hex(); }

 private:
  hash::Xxh3Stream stream_;
};

std::string base_name(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

// Folders below the output folder mirror those of the source; where a file was named, its folder must be
// there.
bool is_mirrored(const Job& job, const ConvertOptions& options) {
  return job.destination != options.places.output;
}

// Mirrored folders are made later.
void check_destination_if_there(const Job& job, const ConvertOptions& options, const std::string& path) {
  std::error_code problem;
  const std::filesystem::path folder = std::filesystem::path(job.destination).parent_path();
  if (!is_mirrored(job, options) || std::filesystem::exists(folder, problem))
    check_destination(path, options.force);
}

// What stands in the way is known before anything is copied, also by a dry run.
void check_place(const Job& job, const ConvertOptions& options) {
  if (!options.force && is_same_file(job.source.path, job.destination))
    throw Error(Code::same_file, "the output is the input file itself").of(job.source.path);
  check_destination_if_there(job, options, job.destination);
}

// The same for what is written beside the destination.
void check_further_places(const Job& job, const ConvertOptions& options, const Outputs& outputs) {
  for (const Output& output : outputs.files) {
    if (output.path == job.destination) continue;
    if (is_same_file(job.source.path, output.path))
      throw Error(Code::same_file, "an output is the input file itself").of(output.path);
    check_destination_if_there(job, options, output.path);
  }
}

torch::Provenance provenance_of(const Job& job, std::uint64_t source_size, const ConvertOptions& options,
                                const ChangeLog& changes) {
  torch::Provenance provenance;
  provenance.tool_version = version();
  provenance.source_name = base_name(job.source.path);
  provenance.source_size = source_size;
  provenance.layout = options.rules.layout == convert::Layout::keep ? "keep" : "clean";
  provenance.options = options_for_record(options.rules);
  for (const Change& change : changes.changes()) {
    const std::string name = code_name(change.code);
    auto& rules = provenance.rules;
    if (!report::is_remark(change.code) && std::find(rules.begin(), rules.end(), name) == rules.end())
      rules.push_back(name);
  }
  return provenance;
}

std::uint64_t count_tensors(const Checkpoint& checkpoint) {
  std::uint64_t count = 0;
  for (const NodeId id : checkpoint.values.reachable()) count += checkpoint.values.kind(id) == Kind::tensor;
  return count;
}

void make_folders(const Job& job, const ConvertOptions& options) {
  if (!is_mirrored(job, options)) return;
  std::error_code problem;
  std::filesystem::create_directories(std::filesystem::path(job.destination).parent_path(), problem);
  if (problem)
    throw Error(Code::cannot_write, "cannot create the folder of the output: " + problem.message())
        .of(job.destination);
}

// A copy of a private file is private.
unsigned permissions_of(const std::string& source) {
  struct stat status {};
  return ::stat(source.c_str(), &status) == 0 ? (status.st_mode & 0666) | 0600 : 0600;
}

// Turns bytes written of the output into bytes dealt with of the source; its calls come from any thread.
class Meter {
 public:
  Meter(std::uint64_t source_size, std::uint64_t plan_size, const ConsumedFunction& consumed)
      : source_size_(static_cast<double>(source_size)),
        plan_size_(static_cast<double>(std::max<std::uint64_t>(1, plan_size))),
        consumed_(consumed) {}

  void written(std::uint64_t bytes) {
    const std::uint64_t before = written_.fetch_add(bytes);
    consumed_(share(before + bytes) - share(before));
  }

 private:
  std::uint64_t share(std::uint64_t written) const {
    return static_cast<std::uint64_t>(source_size_ *
                                      std::min(1.0, static_cast<double>(written) / plan_size_));
  }

  const double source_size_, plan_size_;
  const ConsumedFunction& consumed_;
  std::atomic<std::uint64_t> written_ = 0;
};

void write(const Job& job, const ConvertOptions& options, const Checkpoint& checkpoint,
           const Outputs& outputs, Executor& executor, const ConsumedFunction& consumed,
           report::FileReport& report) {
  make_folders(job, options);
  if (outputs.gathered) outputs.gathered->check_parts(executor);
  std::vector<std::unique_ptr<FileSink>> sinks;
  for (const Output& output : outputs.files)
    sinks.push_back(std::make_unique<FileSink>(
        output.path, output.file->plan().size,
        SinkOptions{
            .replace = options.force, .sync = options.sync, .mode_max = permissions_of(job.source.path)}));

  SourceXxh3 hash;
  copy::SourceTap tap(*checkpoint.source, hash);
  Meter meter(checkpoint.source->size(), outputs.size(), consumed);
  std::vector<std::vector<std::uint32_t>> crcs;
  for (std::size_t i = 0; i < sinks.size(); ++i)
    crcs.push_back(copy::copy_records(outputs.storages, *outputs.files[i].file, *sinks[i], executor, tap,
                                      [&](std::uint64_t bytes) { meter.written(bytes); }));
  report.source_hash = tap.finish();
  for (std::size_t i = 0; i < sinks.size(); ++i)
    outputs.files[i].file->finish(*sinks[i], crcs[i], report.source_hash);

  for (std::size_t i = 0; i < sinks.size() && options.verify; ++i) {
    const SourcePtr written = sinks[i]->reopen();
    copy::verify_records(*written, outputs.files[i].file->plan(), crcs[i], executor);
    outputs.files[i].file->verify_structure(*written, crcs[i]);
  }
  report.verified = options.verify;
  checkpoint.source->check_unchanged();
  for (const auto& sink : sinks) sink->commit();
}

// Rules that prepare a checkpoint for PyTorch 2.x are not for what goes elsewhere.
convert::RuleOptions rules_for(const ConvertOptions& options) {
  convert::RuleOptions rules = options.rules;
  const Target target = options.target.target;
  if (target != Target::pt) rules.without.push_back("newer");
  if (target == Target::legacy) {
    rules.integer_steps = true;
    rules.without.insert(rules.without.end(), {"optimizer_steps", "optimizer_groups", "optimizer_history"});
  } else if (target != Target::pt) {
    rules.without.push_back("compact");  // there each tensor is written by itself
  }
  return rules;
}

// With --salvage the report begins with what is lost.
Checkpoint open(const Job& job, const ConvertOptions& options, ChangeLog& changes) {
  SourcePtr source = open_file(job.source.path);
  if (!options.salvage) return open_checkpoint(std::move(source), Limits{.list_records = false});
  Salvage salvage = salvage_checkpoint(std::move(source), Limits{});
  changes = std::move(salvage.losses);
  return std::move(salvage.checkpoint);
}

// One remark an object; its modules are the details.
void add_module_remarks(report::FileReport& report) {
  const std::span<const report::ModuleFacts> all = report.modules;
  for (std::size_t begin = 0; begin < all.size();) {
    const auto object = report::object_at(all, begin);
    std::vector<std::string> lines;
    for (const report::ModuleFacts& module : object) lines.push_back(report::module_line(module));
    report.changes.add(Code::module_described, object.front().object,
                       report::object_line(object) + ": classes and settings in the report (-v, --report)",
                       std::move(lines));
    begin += object.size();
  }
}

}  // namespace

void convert_file(const Job& job, const ConvertOptions& options, Executor& executor,
                  const ConsumedFunction& consumed, report::FileReport& report) {
  // What the input is comes first: a refusal for safety outranks a destination that is taken.
  Checkpoint checkpoint = open(job, options, report.changes);
  copy::check_indices(checkpoint);
  check_place(job, options);
  report.modules = report::describe_modules(checkpoint);
  const auto suggestion = options.rules.recipe ? std::nullopt : suggest_recipe(checkpoint.values);
  convert::apply_rules(checkpoint, rules_for(options), report.changes);
  add_module_remarks(report);
  if (suggestion)
    report.changes.add(Code::recipe_fits, "",
                       "this looks like " + suggestion->name + ": --recipe " + suggestion->name +
                           " brings it into the form that its code for 2.x reads");
  const torch::Provenance provenance = provenance_of(job, checkpoint.source->size(), options, report.changes);
  const Outputs outputs =
      plan_outputs(checkpoint, options.target, job.destination, provenance, report.changes);
  check_further_places(job, options, outputs);

  report.format = checkpoint.container.format;
  report.target = container_name(options.target.target);
  report.bytes_before = checkpoint.source->size();
  report.bytes_after = outputs.size();
  report.tensors = count_tensors(checkpoint);
  report.tensor_bytes = outputs.tensor_bytes;

  if (!options.dry_run) write(job, options, checkpoint, outputs, executor, consumed, report);
  report.outcome = options.dry_run ? report::Outcome::planned : report::Outcome::converted;
}

}  // namespace ferry::cli
