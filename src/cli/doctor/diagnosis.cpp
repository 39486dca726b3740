#include "src/cli/doctor/diagnosis.h"

#include <algorithm>

#include "src/cli/doctor/distribution.h"
#include "src/core/text.h"

namespace ferry::doctor {
namespace {

constexpr std::string_view kIndex = "https://download.pytorch.org/whl/";

using Distributions = std::vector<Distribution>;

const Distribution* find(const Distributions& all, std::string_view name) {
  const std::string normalized = normalized_name(name);
  for (const Distribution& one : all)
    if (one.name == normalized) return &one;
  return nullptr;
}

// --- PyTorch

std::string folder_of_torch(const Root& root, const Python& python) {
  for (const std::string& folder : python.folders) {
    const std::string torch = joined(folder, "torch");
    if (root.is_file(joined(torch, "__init__.py")) || root.is_file(joined(torch, "version.py"))) return torch;
  }
  return "";
}

std::optional<Torch> read_torch(const Root& root, const Python& python, const Distributions& installed) {
  Torch torch;
  torch.folder = folder_of_torch(root, python);
  if (torch.folder.empty()) return std::nullopt;
  const TorchVersion said = read_torch_version(root.read(joined(torch.folder, "version.py")).value_or(""));
  if (const Distribution* metadata = find(installed, "torch")) torch.metadata_version = metadata->version;
  torch.version = said.version.value_or(torch.metadata_version.value_or(""));
  torch.build = build_of(said, torch.version);
  if (torch.build == Build::cuda) torch.cuda = cuda_of(said, torch.version);
  if (torch.build == Build::rocm) torch.rocm = rocm_of(said, torch.version);
  torch.hip = said.hip;
  torch.xpu = said.xpu;
  torch.git_version = said.git_version;
  return torch;
}

// --- Remarks

class Judge {
 public:
  Judge(PythonReport& report, const Distributions& installed, const Machine& machine,
        const Knowledge& knowledge)
      : report_(report), installed_(installed), machine_(machine), knowledge_(knowledge) {}

  void judge_metadata(const Root& root);
  void judge_packages();
  void judge_requirements();
  void judge_devices();
  void propose_commands();

 private:
  void remark(Code code, const std::string& what) { report_.remarks.push_back({code, false, what}); }
  void conflict(Code code, const std::string& what) { report_.remarks.push_back({code, true, what}); }
  void judge_package(Package& package, const Range& range);
  void judge_driver(const Torch& torch);
  std::string command(const std::vector<std::string>& words) const;
  std::string torch_command() const;

  PythonReport& report_;
  const Distributions& installed_;
  const Machine& machine_;
  const Knowledge& knowledge_;
};

void Judge::judge_metadata(const Root& root) {
  if (!report_.python.complaint.empty()) remark(Code::broken_environment, report_.python.complaint);
  for (const Distribution& one : installed_)
    if (!one.complaint.empty()) remark(Code::broken_environment, one.metadata + ": " + one.complaint);
  const Distribution* metadata = find(installed_, "torch");
  if (!report_.torch) {
    if (metadata != nullptr)
      remark(Code::broken_environment, metadata->metadata + " describes torch, which is not there");
    return;
  }
  const Torch& torch = *report_.torch;
  if (!root.is_file(joined(torch.folder, "version.py")))
    remark(Code::broken_environment, torch.folder + " has no version.py");
  if (torch.version.empty()) {
    remark(Code::broken_environment, torch.folder + " does not say its version");
    return;
  }
  const auto version = parse_version(torch.version);
  if (!version) {
    remark(Code::broken_environment, torch.folder + ": " + quote(torch.version) + " is no version");
    return;
  }
  const auto other = torch.metadata_version ? parse_version(*torch.metadata_version) : std::nullopt;
  if (other && compare(other->without_local(), version->without_local()) != 0)
    remark(Code::broken_environment,
           torch.folder + " is " + torch.version + ", its metadata say " + *torch.metadata_version);
}

void Judge::judge_package(Package& package, const Range& range) {
  package.range = range.versions.text();
  const auto version = package.installed ? parse_version(*package.installed) : std::nullopt;
  if (!version) return;
  package.fits = range.versions.contains(*version);
  if (!*package.fits)
    conflict(Code::package_conflict, package.name + " " + *package.installed + " does not go with PyTorch " +
                                         report_.torch->version + ", which takes " + *package.range);
}

void Judge::judge_packages() {
  for (const std::string& name : knowledge_.ranges.packages()) {
    Package& package = report_.packages.emplace_back();
    package.name = name;
    if (const Distribution* found = find(installed_, name)) {
      package.installed = found->version;
      package.metadata = found->metadata;
    }
  }
  const auto version = report_.torch ? parse_version(report_.torch->version) : std::nullopt;
  if (!version) return;
  const Release* const release = knowledge_.ranges.find(*version);
  if (release == nullptr) {
    remark(Code::no_ranges, "no ranges of packages are known for PyTorch " + report_.torch->version);
    return;
  }
  report_.release = release->text();
  for (const Range& range : release->ranges)
    for (Package& package : report_.packages)
      if (package.name == range.package) judge_package(package, range);
}

// Among the packages that are looked for; markers are for Python to judge.
void Judge::judge_requirements() {
  for (const Distribution& one : installed_)
    for (const Requirement& wanted : one.requirements) {
      const bool known = wanted.name == "torch" ||
                         std::any_of(report_.packages.begin(), report_.packages.end(), [&](const Package& p) {
                           return normalized_name(p.name) == wanted.name;
                         });
      if (!known || wanted.conditional) continue;
      const std::string wants = one.name + " " + one.version + " wants " + wanted.name + wanted.specifiers;
      const Distribution* const other = find(installed_, wanted.name);
      std::string version = other == nullptr ? "" : other->version;
      if (wanted.name == "torch" && report_.torch) version = report_.torch->version;
      if (version.empty()) {
        conflict(Code::requirement_conflict, wants + ", which is not installed");
        continue;
      }
      const auto parsed = parse_version(version);
      if (parsed && !parse_specifiers(wanted.specifiers)->contains(*parsed))
        conflict(Code::requirement_conflict, wants + "; " + version + " is installed");
    }
}

void Judge::judge_driver(const Torch& torch) {
  const Nvidia& nvidia = machine_.nvidia;
  const std::string built =
      "PyTorch " + torch.version + " is built for CUDA" + (torch.cuda ? " " + *torch.cuda : std::string());
  if (nvidia.driver.empty() && nvidia.libcuda.empty()) {
    remark(Code::driver_missing, built + ", and no NVIDIA driver was found: it computes on the processor");
    return;
  }
  const auto driver = parse_version(nvidia.driver);
  const auto cuda = torch.cuda ? parse_version(*torch.cuda) : std::nullopt;
  const auto* const row = cuda ? Accelerators::row_for(knowledge_.accelerators.cuda, *cuda) : nullptr;
  if (row != nullptr && row->driver && driver && compare(*driver, *row->driver) < 0)
    remark(Code::driver_old, built + ", which needs driver " + row->driver_text + " or later; " +
                                 nvidia.driver + " is installed");
}

void Judge::judge_devices() {
  if (!report_.torch) return;
  const Torch& torch = *report_.torch;
  const bool has_nvidia = !machine_.nvidia.driver.empty(), has_amd = machine_.amd.driver;
  if (torch.build == Build::cuda) judge_driver(torch);
  if (torch.build == Build::rocm && !has_amd)
    remark(Code::driver_missing, "PyTorch " + torch.version + " is built for ROCm" +
                                     (torch.rocm ? " " + *torch.rocm : std::string()) +
                                     ", and no AMD driver was found: it computes on the processor");
  const bool has_gpu =
      (has_nvidia && !machine_.nvidia.gpus.empty()) || (has_amd && !machine_.amd.gpus.empty());
  if (torch.build == Build::cpu && has_gpu)
    remark(Code::gpu_unused, "PyTorch " + torch.version +
                                 " is built for the processor alone; this machine has a GPU and its driver");
}

// --- Commands

std::string Judge::command(const std::vector<std::string>& words) const {
  std::string text = shell_word(report_.python.program()) + " -m pip install";
  for (const std::string& word : words) text += " " + shell_word(word);
  return text;
}

// The wheels that suit the machine: plain pip brings a CUDA build of several gigabytes to any Linux.
std::string Judge::torch_command() const {
  std::string index = "cpu";
  if (const auto driver = parse_version(machine_.nvidia.driver)) {
    const auto* const row = knowledge_.accelerators.cuda_for_driver(*driver);
    if (row != nullptr && !row->index.empty()) index = row->index;
  }
  if (index == "cpu" && machine_.amd.driver && !machine_.amd.rocm.empty()) {
    const std::string& said = machine_.amd.rocm.front().version;
    const auto version = parse_version(std::string_view(said).substr(0, said.find('-')));
    const auto* const row = version ? Accelerators::row_for(knowledge_.accelerators.rocm, *version) : nullptr;
    if (row != nullptr) index = row->index;
  }
  return command({"torch", "--index-url", std::string(kIndex) + index});
}

void Judge::propose_commands() {
  if (!report_.torch) {
    report_.install.push_back(torch_command());
    return;
  }
  if (report_.release.empty()) return;
  const bool conflicts = std::any_of(report_.remarks.begin(), report_.remarks.end(),
                                     [](const Remark& one) { return one.conflict; });
  // pip solves all four together: one alone could pull another out of its range.
  std::vector<std::string> words;
  bool complete = true;
  for (const Package& package : report_.packages) {
    if (!package.range) continue;
    complete = complete && package.installed && package.fits.value_or(false);
    if (conflicts && !package.installed) continue;
    words.push_back(package.name + *package.range);
  }
  if ((conflicts || !complete) && !words.empty()) report_.install.push_back(command(words));
}

}  // namespace

std::size_t Diagnosis::conflicts() const {
  std::size_t count = 0;
  for (const PythonReport& python : pythons)
    count += static_cast<std::size_t>(std::count_if(python.remarks.begin(), python.remarks.end(),
                                                    [](const Remark& one) { return one.conflict; }));
  return count;
}

std::string shell_word(std::string_view word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:,@%=";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string_view::npos) return std::string(word);
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

PythonReport examine_python(const Root& root, const Python& python, const Machine& machine,
                            const Knowledge& knowledge) {
  PythonReport report;
  report.python = python;
  std::vector<std::string> names = {"torch"};
  for (const std::string& name : knowledge.ranges.packages()) names.push_back(normalized_name(name));
  const Distributions installed = find_distributions(root, python.folders, names);
  report.torch = read_torch(root, python, installed);
  Judge judge(report, installed, machine, knowledge);
  judge.judge_metadata(root);
  judge.judge_packages();
  judge.judge_requirements();
  judge.judge_devices();
  judge.propose_commands();
  return report;
}

}  // namespace ferry::doctor
