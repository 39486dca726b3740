#include <algorithm>

#include "src/cli/doctor/report.h"
#include "src/core/text.h"
#include "src/core/version.h"

namespace ferry::doctor {
namespace {

constexpr std::size_t kLabel = 10;

// What comes from files may hold anything; the terminal gets it escaped.
std::string safe(std::string_view text) { return escape_for_terminal(text); }

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(text.size(), width), ' ');
  return text;
}

void line(const Put& put, std::string_view label, const std::string& text) {
  put("  " + padded(std::string(label), kLabel) + text + "\n");
}

std::string list_of(const std::vector<std::string>& texts) {
  std::string list;
  for (const std::string& text : texts) list += (list.empty() ? "" : ", ") + safe(text);
  return list;
}

// Names with how often they occur: "NVIDIA H100 × 8".
std::string counted(const std::vector<std::string>& names) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < names.size();) {
    const auto same = static_cast<std::size_t>(std::count(names.begin(), names.end(), names[i]));
    if (std::find(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(i), names[i]) ==
        names.begin() + static_cast<std::ptrdiff_t>(i))
      parts.push_back(names[i] + (same > 1 ? " × " + std::to_string(same) : std::string()));
    ++i;
  }
  return list_of(parts);
}

void write_remarks(const Put& put, const std::vector<Remark>& remarks) {
  for (const Remark& remark : remarks)
    line(put, remark.conflict ? "conflict" : "remark",
         safe(remark.what) + " [" + code_name(remark.code) + "]");
}

void write_self(const Put& put, const Diagnosis& diagnosis) {
  std::string features;
  for (const Feature& feature : diagnosis.features) features += (feature.on ? " +" : " -") + feature.name;
  put("torchferry " + std::string(version()) + features + "\n");
  for (const Helper& helper : diagnosis.helpers) {
    const std::string state = !helper.there    ? "not there"
                              : helper.answers ? "answers"
                                               : "does not answer: " + safe(helper.failure);
    put("  " + padded(helper.program, 18) + state + "  " + safe(helper.path) + "\n");
  }
}

void write_installations(const Put& put, std::string_view label, const std::vector<Installation>& all) {
  for (const Installation& one : all)
    line(put, label, (one.version.empty() ? "version unknown" : safe(one.version)) + "  " + safe(one.path));
}

void write_machine(const Put& put, const Diagnosis& diagnosis) {
  const Nvidia& nvidia = diagnosis.machine.nvidia;
  const Amd& amd = diagnosis.machine.amd;
  put("machine\n");
  if (nvidia.driver.empty())
    line(put, "NVIDIA", nvidia.libcuda.empty() ? "no driver" : "libcuda, but no driver");
  else
    line(put, "NVIDIA",
         "driver " + safe(nvidia.driver) +
             (nvidia.cuda_of_driver.empty() ? "" : ", CUDA " + safe(nvidia.cuda_of_driver)) +
             (nvidia.gpus.empty() ? "" : "; " + counted(nvidia.gpus)));
  write_installations(put, "CUDA", nvidia.toolkits);
  line(put, "AMD",
       !amd.driver ? "no driver"
                   : "driver" + (amd.driver_version.empty() ? "" : " " + safe(amd.driver_version)) +
                         (amd.gpus.empty() ? "" : "; " + counted(amd.gpus)));
  write_installations(put, "ROCm", amd.rocm);
  write_remarks(put, diagnosis.remarks);
}

std::string build_text(const Torch& torch) {
  switch (torch.build) {
    case Build::cuda:
      return "for CUDA" + (torch.cuda ? " " + safe(*torch.cuda) : std::string());
    case Build::rocm:
      return "for ROCm" + (torch.rocm ? " " + safe(*torch.rocm) : std::string()) +
             (torch.hip ? " (HIP " + safe(*torch.hip) + ")" : std::string());
    case Build::xpu:
      return "for Intel GPUs" + (torch.xpu ? " " + safe(*torch.xpu) : std::string());
    case Build::cpu:
      return "for the processor alone";
    case Build::unknown:
      break;
  }
  return "of a kind that its files do not say";
}

// A row for every package of the table, unless there is neither a range nor a package.
void write_packages(const Put& put, const PythonReport& report) {
  const bool worth_telling =
      !report.release.empty() || std::any_of(report.packages.begin(), report.packages.end(),
                                             [](const Package& one) { return one.installed.has_value(); });
  if (!worth_telling) return;
  std::size_t name_width = 0, version_width = 0;
  for (const Package& one : report.packages) {
    name_width = std::max(name_width, one.name.size());
    version_width = std::max(version_width, safe(one.installed.value_or("none")).size());
  }
  if (!report.release.empty()) line(put, "ranges", "for PyTorch " + report.release);
  for (const Package& one : report.packages) {
    std::string row =
        padded(one.name, name_width + 2) + padded(safe(one.installed.value_or("none")), version_width + 2);
    if (one.range) row += *one.range;
    if (one.fits) row += *one.fits ? "  fits" : "  does not fit";
    while (row.ends_with(' ')) row.pop_back();
    line(put, "", row);
  }
}

void write_said(const Put& put, const std::optional<Said>& said) {
  if (!said || !said->failure.empty()) return;
  std::string text = "Python " + safe(said->version);
  if (!said->torch.empty()) text += ", torch " + safe(said->torch);
  if (said->cuda_available)
    text += *said->cuda_available ? ", computes on " + counted(said->devices) : ", sees no GPU";
  line(put, "says", text);
}

void write_python(const Put& put, const PythonReport& report) {
  put("\n" + safe(report.python.program()) + "\n");
  std::string also;
  if (report.python.programs.size() > 1)
    also = "; also " + list_of({report.python.programs.begin() + 1, report.python.programs.end()});
  line(put, "Python",
       safe(report.python.version) + ", " + report.python.kind + "; by " + list_of(report.python.found_by) +
           also);
  if (report.torch)
    line(put, "PyTorch",
         (report.torch->version.empty() ? "of unknown version" : safe(report.torch->version)) + ", built " +
             build_text(*report.torch));
  else
    line(put, "PyTorch", "none");
  write_said(put, report.said);
  write_packages(put, report);
  write_remarks(put, report.remarks);
  for (const std::string& command : report.install) line(put, "install", safe(command));
}

}  // namespace

void write_text(const Diagnosis& diagnosis, const Put& put) {
  write_self(put, diagnosis);
  write_machine(put, diagnosis);
  for (const PythonReport& report : diagnosis.pythons) write_python(put, report);
  if (diagnosis.pythons.empty()) put("\nno Python was found\n");
  const std::size_t conflicts = diagnosis.conflicts();
  put("\n" +
      (conflicts == 0   ? std::string("no conflicts")
       : conflicts == 1 ? std::string("1 conflict")
                        : std::to_string(conflicts) + " conflicts") +
      "\n");
}

}  // namespace ferry::doctor
