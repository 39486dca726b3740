#include "src/cli/validate.h"

#include <sys/stat.h>

#include <algorithm>

#include "src/cli/progress.h"
#include "src/cli/validate_archive.h"
#include "src/cli/validate_output.h"
#include "src/cli/validate_tasks.h"
#include "src/core/version.h"
#include "src/parallel/thread_executor.h"

namespace ferry::cli {
namespace {

std::uint64_t bytes_of(const std::vector<CheckTask>& tasks) {
  std::uint64_t bytes = 0;
  for (const CheckTask& task : tasks)
    for (const std::string& path : {task.before, task.after}) {
      struct stat status {};
      if (::stat(path.c_str(), &status) == 0) bytes += static_cast<std::uint64_t>(status.st_size);
    }
  return bytes;
}

std::string words_of(const CheckOptions& options, const Judgement& judgement) {
  return options.dtype ? "rounded to " + std::string(info(*options.dtype).name) : judgement.text();
}

// What all tasks were judged by.
std::string bounds_of(const std::vector<CheckTask>& tasks) {
  std::string bounds;
  for (const CheckTask& task : tasks) {
    const std::string one = words_of(task.options, task.judgement);
    if (!bounds.empty() && bounds != one) return "several";
    bounds = one;
  }
  return bounds.empty() ? "bit-equal" : bounds;
}

std::vector<CheckResult> check_all(const CheckPlan& plan, const ValidateOptions& options) {
  std::vector<CheckResult> results;
  const std::size_t jobs = options.check.diff.jobs;
  parallel::ThreadExecutor executor(jobs > 0 ? jobs : parallel::usable_processors());
  Progress progress(plan.tasks.size(), bytes_of(plan.tasks), options.progress && !options.quiet);
  for (const CheckTask& task : plan.tasks) {
    results.push_back(check_file(task, executor, [&](std::uint64_t bytes) { progress.add_bytes(bytes); }));
    progress.add_file();
  }
  for (const policy::Suite& complaint : plan.complaints) results.push_back({complaint, false, {}, {}});
  return results;
}

std::vector<std::string> inputs_of(const CheckOptions& options, const CheckPlan& plan) {
  std::vector<std::string> files{options.diff.before, options.diff.map, options.diff.policy};
  for (const CheckTask& task : plan.tasks)
    files.insert(files.end(), {task.before, task.after, task.options.drift.model, task.options.drift.golden,
                               task.options.drift.rerun});
  return files;
}

bool is_archive(const CheckOptions& options) {
  return options.diff.after.empty() && !options.diff.before.ends_with(".toml");
}

}  // namespace

int run_validate(const ValidateOptions& options) {
  const bool again = is_archive(options.check);
  if (again) need_archive(options.check.diff.before, "validate");
  const CheckPlan plan = again ? CheckPlan{} : plan_checks(options.check);
  check_destinations(options, inputs_of(options.check, plan));
  const std::vector<CheckResult> results =
      again ? judge_validation_archive(options.check) : check_all(plan, options);

  policy::ValidationReport report;
  report.version = version();
  report.bounds = again ? words_of(options.check, judgement_of(options.check.diff)) : bounds_of(plan.tasks);
  for (const CheckResult& result : results) report.suites.push_back(result.suite);
  print_validation(report, options);
  const int code = std::max(exit_code(report), save_validation(report, options));
  if (!options.save.empty()) save_validation_archive(results, options.save, options.force);
  return code;
}

}  // namespace ferry::cli
