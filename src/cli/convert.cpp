#include "src/cli/convert.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <new>
#include <vector>

#include "src/cli/convert_file.h"
#include "src/cli/destinations.h"
#include "src/cli/progress.h"
#include "src/cli/terminal.h"
#include "src/core/error.h"
#include "src/core/sink.h"
#include "src/core/text.h"
#include "src/core/version.h"
#include "src/parallel/thread_executor.h"
#include "src/parallel/weighted.h"
#include "src/report/conversion.h"

namespace ferry::cli {
namespace {

using report::ConversionReport;
using report::FileReport;
using report::Outcome;

// A file gets one thread for each of these, up to all: with N threads, N times as many bytes are under way.
constexpr std::uint64_t kBytesPerThread = 32 << 20;

Outcome outcome_of(const Error& error, const Job& job) {
  if (error.fault() == Fault::refused) return Outcome::refused;
  const bool no_checkpoint = error.code() == Code::unknown_format || error.code() == Code::not_a_checkpoint;
  return no_checkpoint && !job.source.named ? Outcome::skipped : Outcome::failed;
}

// Whatever stops one file is its result; the others go on.
FileReport convert_guarded(const Job& job, const ConvertOptions& options, Executor& executor,
                           const ConsumedFunction& consumed) {
  FileReport file;
  file.source = job.source.path;
  file.destination = job.destination;
  const auto stopped_by = [&](Error error) {
    const bool damaged = error.code() == Code::checksum_mismatch || error.code() == Code::bad_deflate;
    if (damaged && !options.salvage)
      error.with_hint(error.hint() + "; --salvage writes the tensors that are whole");
    file.error = error.of(job.source.path);
    file.outcome = outcome_of(*file.error, job);
  };
  try {
    convert_file(job, options, executor, consumed, file);
  } catch (const Error& error) {
    stopped_by(error);
  } catch (const std::bad_alloc&) {
    stopped_by(Error(Code::out_of_memory, "there was not enough memory"));
  } catch (const std::exception& error) {
    stopped_by(Error(Code::internal, std::string("internal error: ") + error.what()));
  }
  return file;
}

// The results as they are said: in the order of the files, whatever the order in which they end.
class Announcer {
 public:
  Announcer(const ConvertOptions& options, std::vector<FileReport>& files, Progress& progress)
      : options_(options), files_(files), progress_(progress), done_(files.size(), false) {}

  void finished(std::size_t i) {
    progress_.add_file();
    const std::lock_guard lock(guard_);
    done_[i] = true;
    for (; next_ < files_.size() && done_[next_]; ++next_) announce(files_[next_]);
  }

 private:
  void announce(const FileReport& file) {
    if (file.error && file.outcome != Outcome::skipped) progress_.print_error_line(*file.error);
    if (options_.json || options_.quiet) return;
    const report::TextStyle style{.color = options_.color, .all = options_.verbose};
    const bool several = files_.size() > 1;
    if (several && !options_.verbose)
      progress_.print_out(report::one_line(file, style));
    else if (several || !file.error || file.outcome == Outcome::skipped)
      progress_.print_out(report::block(file, style));
  }

  const ConvertOptions& options_;
  std::vector<FileReport>& files_;
  Progress& progress_;
  std::mutex guard_;
  std::vector<bool> done_;
  std::size_t next_ = 0;
};

std::vector<std::size_t> weights_of(const std::vector<Job>& jobs, std::size_t threads) {
  std::vector<std::size_t> weights;
  for (const Job& job : jobs)
    weights.push_back(
        static_cast<std::size_t>(std::min<std::uint64_t>(threads, job.source.size / kBytesPerThread + 1)));
  return weights;
}

std::vector<FileReport> convert_all(const std::vector<Job>& jobs, const ConvertOptions& options) {
  const std::size_t threads = options.jobs > 0 ? options.jobs : parallel::usable_processors();
  const std::vector<std::size_t> weights = weights_of(jobs, threads);
  std::uint64_t bytes = 0;
  for (const Job& job : jobs) bytes += job.source.size;

  std::vector<FileReport> files(jobs.size());
  Progress progress(jobs.size(), bytes, options.progress && !options.quiet && !options.dry_run);
  Announcer announcer(options, files, progress);
  parallel::run_weighted(weights, threads, [&](std::size_t i) {
    parallel::ThreadExecutor executor(weights[i]);
    std::atomic<std::uint64_t> dealt_with = 0;
    const auto consumed = [&](std::uint64_t some) {
      dealt_with += some;
      progress.add_bytes(some);
    };
    files[i] = convert_guarded(jobs[i], options, executor, consumed);
    progress.add_bytes(jobs[i].source.size - std::min<std::uint64_t>(dealt_with, jobs[i].source.size));
    announcer.finished(i);
  });
  return files;
}

std::string rendered(const ConversionReport& report, std::string_view path) {
  if (path.ends_with(".html")) return report::html_report(report);
  if (!path.ends_with(".json")) return report::text_report(report);
  std::string text;
  report::write_json(report, [&](std::string_view piece) { text += piece; });
  return text;
}

void save_report(const ConversionReport& report, const ConvertOptions& options) {
  const std::string text = rendered(report, options.report);
  FileSink sink(options.report, text.size(), {.replace = options.force, .sync = options.sync});
  sink.write_at(0, as_bytes(text));
  sink.commit();
}

void print_result(const ConversionReport& report, const ConvertOptions& options) {
  if (options.json) {
    report::write_json(report, print);
  } else if (!options.quiet && report.files.size() > 1) {
    if (options.verbose) print("\n");
    print(report::summary_table(report, {.color = options.color}));
  }
}

}  // namespace

int run_convert(const ConvertOptions& options) {
  const std::vector<Job> jobs = plan_jobs(options.places);
  if (!options.report.empty()) {
    std::vector<std::string> inputs;
    for (const Job& job : jobs) inputs.push_back(job.source.path);
    check_outputs({options.report}, inputs, options.force);
  }

  ConversionReport report;
  report.version = version();
  report.layout = options.rules.layout == convert::Layout::keep ? "keep" : "clean";
  report.dry_run = options.dry_run;
  report.files = convert_all(jobs, options);

  print_result(report, options);
  if (report::nothing_found(report))
    print_error(Error(Code::no_input, "none of the files that were found is a checkpoint")
                    .of(options.places.sources[0]));
  const int code = report::exit_code(report);
  if (options.report.empty()) return code;
  try {
    save_report(report, options);
  } catch (const Error& error) {
    print_error(error);
    return std::max(code, 2);
  }
  return code;
}

}  // namespace ferry::cli
