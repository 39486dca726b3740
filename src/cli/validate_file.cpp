#include "src/cli/validate_file.h"

#include <algorithm>
#include <new>

#include "formats/formats.h"
#include "src/cli/diff_archive.h"
#include "src/cli/name_map.h"
#include "src/cli/validate_cases.h"
#include "src/cli/validate_drift.h"
#include "src/core/error.h"
#include "src/core/limits.h"
#include "src/core/text.h"

namespace ferry::cli {
namespace {

// Runs one step; what it throws becomes the case `name`.  False when it threw.
template <typename Step>
bool guarded(policy::Suite& suite, std::string_view name, const std::string& path, Step step) {
  const auto stop = [&](Error error) {
    error.of(path);
    suite.cases.push_back(policy::stopped(name, error));
    return false;
  };
  try {
    step();
    return true;
  } catch (const Error& error) {
    return stop(error);
  } catch (const std::bad_alloc&) {
    return stop(Error(Code::out_of_memory, "there was not enough memory"));
  } catch (const std::exception& error) {
    return stop(Error(Code::internal, std::string("internal error: ") + error.what()));
  }
}

void add_cases(std::vector<policy::TestCase> cases, policy::Suite& suite) {
  for (policy::TestCase& one : cases) suite.cases.push_back(std::move(one));
}

void check_after_alone(const CheckTask& task, policy::Suite& suite) {
  const Checkpoint after = open_checkpoint(open_file(task.after), Limits{});
  add_cases(loading_cases(after), suite);
  suite.cases.push_back(optimizer_case(after));
  suite.cases.push_back(scaler_case(after));
}

void compare(const CheckTask& task, Executor& executor, const DiffProgress& progress, CheckResult& result) {
  DiffOptions options = task.options.diff;
  options.after_is_result = true;
  const structure::NameMap names = options.map.empty() ? structure::NameMap{} : read_name_map(options.map);
  diff_file({task.before, task.after}, options, names,
            options.judged_again ? whatever_counts() : task.judgement, executor, progress, result.measured);
  result.measured.name = task.name;
  result.measured.before.path = task.before;
  result.measured.after.path = task.after;
}

}  // namespace

void judge_measured(const report::FileDiff& measured, const CheckOptions& options, const Judgement& judgement,
                    policy::Suite& suite) {
  suite.listed = measured.listed;
  suite.cases.push_back(structure_case(measured, options, judgement));
  suite.cases.push_back(tensors_case(measured, options, judgement));
}

void drop_unwanted(const CheckOptions& options, policy::Suite& suite) {
  std::erase_if(suite.cases, [&](const policy::TestCase& one) {
    // What could not be done is no matter of taste.
    return one.status != policy::CaseStatus::error &&
           std::ranges::any_of(options.without,
                               [&](const std::string& glob) { return glob_match(glob, one.name); });
  });
}

CheckResult check_file(const CheckTask& task, Executor& executor, const DiffProgress& progress) {
  CheckResult result;
  policy::Suite& suite = result.suite;
  suite.name = task.name;
  suite.before = task.before;
  suite.after = task.after;
  const bool opened = guarded(suite, policy::kOpens, task.after, [&] { check_after_alone(task, suite); });
  result.compared = opened && guarded(suite, policy::kOpens, task.before,
                                      [&] { compare(task, executor, progress, result); });
  if (result.compared && task.options.diff.judged_again) {
    report::FileDiff judged = result.measured;  // what was found stays, to be saved
    judge_again(judged, task.judgement, SpectralChoice::none);
    judge_measured(judged, task.options, task.judgement, suite);
  } else if (result.compared) {
    judge_measured(result.measured, task.options, task.judgement, suite);
  }
  if (opened)
    guarded(suite, policy::kDrift, task.after, [&] {
      DriftResult found = run_drift(task.options, task.after);
      result.drift = std::move(found.verdicts);
      for (const DriftVerdict& one : result.drift) add_cases(forward_cases(one), suite);
      add_cases(std::move(found.others), suite);
    });
  drop_unwanted(task.options, suite);
  return result;
}

}  // namespace ferry::cli
