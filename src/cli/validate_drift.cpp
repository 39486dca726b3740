#include "src/cli/validate_drift.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "src/cli/forward_evidence.h"
#include "src/cli/replay.h"
#include "src/core/error.h"
#include "validators/forward/emulations.h"

namespace ferry::cli {
namespace {

policy::TestCase not_run(std::string reason) { return policy::skipped(policy::kDrift, std::move(reason)); }

std::string case_name(const std::string& device) { return std::string(policy::kDrift) + "." + device; }

// A folder for what a run records, gone with its owner.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "torchferry-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr)
      throw Error(Code::cannot_write, "a folder for the recording cannot be made").of(pattern);
    path_ = pattern;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  std::string file(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

// "cuda:0" and "cuda" are one device for the names of cases.
std::string device_of(const ForwardVerdict& verdict) {
  const std::string& device = verdict.after.device;
  return device.empty() ? "cpu" : device.substr(0, device.find(':'));
}

// TF32 is what a GPU does by itself.
bool can_run(std::string_view run, std::string_view device) { return run != "tf32" || device != "cpu"; }

ReplayRequest request_for(const CheckOptions& options, const std::string& after, const std::string& device) {
  ReplayRequest request;
  request.model = options.drift.model;
  request.golden = options.drift.golden;
  request.weights = after;
  request.select = options.diff.rules.select;
  request.keep_layout = options.diff.rules.layout == convert::Layout::keep;
  request.device = device;
  // A run in another precision is judged by its emulations; whoever asks for it need not know them.
  const auto add = [&](std::string_view run) {
    if (std::ranges::find(request.runs, run) == request.runs.end()) request.runs.emplace_back(run);
  };
  for (const std::string& run : options.drift.runs) {
    if (!can_run(run, device)) continue;
    add(run);
    for (const std::string_view emulation : forward::emulations_of(run)) add(emulation);
  }
  request.taps = "modules";
  return request;
}

// What the runs of one model came to.
class ModelRuns {
 public:
  ModelRuns(const CheckOptions& options, const std::string& after)
      : options_(options), after_(after), golden_(open_golden_file(options.drift.golden)) {}

  DriftResult run() {
    const std::string& device = options_.drift.device;
    if (device == "auto") {
      run_on("cpu");
      if (!helper_missing_) run_on("cuda");
    } else {
      run_on(device);
    }
    return std::move(result_);
  }

 private:
  void run_on(const std::string& device) {
    try {
      const ScratchFolder scratch;
      ReplayRequest request = request_for(options_, after_, device);
      request.out = scratch.file("rerun.npz");
      const ReplayOutcome outcome = run_replay(request, [](const ReplayRun&) {});
      result_.verdicts.push_back(
          {device, compare_goldens(golden_, open_golden_file(request.out), options_.drift.bounds)});
      result_.verdicts.back().verdict.after.path = options_.drift.model;
      list_failures(outcome, device);
      list_yardsticks(device);
    } catch (const Error& error) {
      cannot_run(device, error);
    }
  }

  // A single run that failed leaves the others to be judged.
  void list_failures(const ReplayOutcome& outcome, const std::string& device) {
    policy::TestCase one = policy::failed(case_name(device), Code::model_failed, "");
    for (const ReplayRun& run : outcome.runs)
      if (!run.error.empty())
        policy::add_detail(one, run.run + ", case " + std::to_string(run.case_index), run.error);
    if (one.details.empty()) return;
    one.message = "the model does not run: " + one.details.front().what;
    result_.others.push_back(std::move(one));
  }

  // Runs that were asked for and are no case of their own.
  void list_yardsticks(const std::string& device) {
    const ForwardVerdict& verdict = result_.verdicts.back().verdict;
    for (const std::string& run : options_.drift.runs)
      if (std::ranges::none_of(verdict.outputs, [&](const ForwardRow& row) { return row.run == run; }))
        result_.others.push_back(policy::skipped(std::string(policy::kDrift) + "." + run + "." + device,
                                                 can_run(run, device)
                                                     ? "nothing is judged by itself here: an emulation is "
                                                       "what runs in reduced precision are judged by"
                                                     : "TF32 is what a GPU does, and no processor"));
  }

  void cannot_run(const std::string& device, const Error& error) {
    helper_missing_ = error.code() == Code::helper_missing;
    // Asked for a GPU, the helper says in this way that there is none.
    const bool no_gpu = device == "cuda" && error.code() == Code::bad_usage;
    if (!helper_missing_ && !no_gpu) {
      result_.others.push_back(policy::stopped(case_name(device), error));
      return;
    }
    std::string reason = error.summary();
    if (helper_missing_ && !error.hint().empty()) reason += "; " + error.hint();
    const bool required = options_.drift.require_gpu && (no_gpu || options_.drift.device != "cpu");
    const std::string name = helper_missing_ ? std::string(policy::kDrift) : case_name(device);
    result_.others.push_back(required
                                 ? policy::failed(name, Code::device_missing, "a GPU is required: " + reason)
                                 : policy::skipped(name, reason));
  }

  const CheckOptions& options_;
  const std::string& after_;
  const Golden golden_;
  bool helper_missing_ = false;
  DriftResult result_;
};

DriftResult compare_rerun(const DriftOptions& drift) {
  DriftResult result;
  ForwardVerdict verdict =
      compare_goldens(open_golden_file(drift.golden), open_golden_file(drift.rerun), drift.bounds);
  const std::string device = device_of(verdict);
  result.verdicts.push_back({device, std::move(verdict)});
  if (drift.require_gpu && device != "cuda")
    result.others.push_back(policy::failed(case_name("cuda"), Code::device_missing,
                                           "a GPU is required: the new recording was made on " + device));
  return result;
}

}  // namespace

DriftResult run_drift(const CheckOptions& options, const std::string& after) {
  const DriftOptions& drift = options.drift;
  const bool has_new_side = !drift.model.empty() || !drift.rerun.empty();
  if (drift.golden.empty())
    return {{}, {not_run(has_new_side ? "no --golden was given" : "no --model and no --golden were given")}};
  if (!has_new_side) return {{}, {not_run("no --model and no --rerun were given")}};
  return drift.rerun.empty() ? ModelRuns(options, after).run() : compare_rerun(drift);
}

}  // namespace ferry::cli
