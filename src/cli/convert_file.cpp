#include "src/cli/convert_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <system_error>

#include "formats/formats.h"
#include "formats/torch/write.h"
#include "src/convert/rule.h"
#include "src/core/error.h"
#include "src/core/limits.h"
#include "src/core/sink.h"
#include "src/core/version.h"
#include "src/hash/xxh3.h"

namespace ferry::cli {
namespace {

class SourceXxh3 final : public torch::SourceHash {
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

// What stands in the way is known before anything is copied, also by a dry run.
void check_place(const Job& job, const ConvertOptions& options) {
  if (!options.force && is_same_file(job.source.path, job.destination))
    throw Error(Code::same_file, "the output is the input file itself").of(job.source.path);
  std::error_code problem;
  const std::filesystem::path folder = std::filesystem::path(job.destination).parent_path();
  if (!is_mirrored(job, options) || std::filesystem::exists(folder, problem))
    check_destination(job.destination, options.force);
}

torch::Provenance provenance_of(const Job& job, const ConvertOptions& options, const ChangeLog& changes) {
  torch::Provenance provenance;
  provenance.tool_version = version();
  provenance.source_name = base_name(job.source.path);
  provenance.layout = options.rules.layout == convert::Layout::keep ? "keep" : "clean";
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
           const torch::ZipPlan& plan, Executor& executor, const ConsumedFunction& consumed,
           report::FileReport& report) {
  make_folders(job, options);
  FileSink sink(
      job.destination, plan.size,
      {.replace = options.force, .sync = options.sync, .mode_max = permissions_of(job.source.path)});
  SourceXxh3 hash;
  Meter meter(checkpoint.source->size(), plan.size, consumed);
  const torch::WriteResult result = torch::write_zip(checkpoint, plan, sink, executor, hash,
                                                     [&](std::uint64_t bytes) { meter.written(bytes); });
  report.source_hash = result.source_hash;
  if (options.verify) torch::verify_zip(*sink.reopen(), plan, result, executor);
  report.verified = options.verify;
  checkpoint.source->check_unchanged();
  sink.commit();
}

}  // namespace

void convert_file(const Job& job, const ConvertOptions& options, Executor& executor,
                  const ConsumedFunction& consumed, report::FileReport& report) {
  // What the input is comes first: a refusal for safety outranks a destination that is taken.
  Checkpoint checkpoint = open_checkpoint(open_file(job.source.path), Limits{});
  checkpoint.container.records = {};  // only inspect lists them; of 100,000 the memory is worth having
  check_place(job, options);
  convert::apply_rules(checkpoint, options.rules, report.changes);
  const torch::ZipPlan plan = torch::plan_zip(checkpoint, provenance_of(job, options, report.changes));

  report.format = checkpoint.container.format;
  report.bytes_before = checkpoint.source->size();
  report.bytes_after = plan.size;
  report.tensors = count_tensors(checkpoint);
  report.tensor_bytes = plan.tensor_bytes;

  if (!options.dry_run) write(job, options, checkpoint, plan, executor, consumed, report);
  report.outcome = options.dry_run ? report::Outcome::planned : report::Outcome::converted;
}

}  // namespace ferry::cli
