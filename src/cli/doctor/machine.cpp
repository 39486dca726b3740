#include "src/cli/doctor/machine.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string_view>

#include "src/cli/doctor/program.h"
#include "src/cli/doctor/text.h"

namespace ferry::doctor {
namespace {

void for_each_part(std::string_view text, std::string_view signs,
                   const std::function<void(std::string_view)>& take) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(signs), text.size());
    if (end > 0) take(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

// "535.129.03" and "12", but not "x86_64" or "12.2-beta".
bool is_dotted_number(std::string_view text) {
  return !text.empty() && is_digit(text.front()) && is_digit(text.back()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_digit(c) || c == '.'; });
}

// What follows "key" and a separator in the first line that begins with it.
std::string value_of(std::string_view text, std::string_view key, char separator) {
  std::string value;
  for_each_part(text, "\n", [&](std::string_view line) {
    const std::size_t at = line.find(separator);
    if (value.empty() && at != std::string_view::npos && trimmed(line.substr(0, at)) == key)
      value = trimmed(line.substr(at + 1));
  });
  return value;
}

std::string program_on(const Root& root, const std::string& path, std::string_view name) {
  std::string found;
  for_each_part(path, ":", [&](std::string_view folder) {
    const std::string program = joined(folder, name);
    if (found.empty() && folder.starts_with('/') && root.is_program(program)) found = program;
  });
  return found;
}

// --- NVIDIA

// "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 …", or since the module is open
// "… Open Kernel Module for x86_64  580.65.06  Release Build …".
std::string driver_of_line(std::string_view text) {
  std::string version;
  bool after_module = false;
  for_each_part(text.substr(0, text.find('\n')), " \t", [&](std::string_view word) {
    if (after_module && version.empty() && is_dotted_number(word) && word.find('.') != std::string_view::npos)
      version = word;
    after_module = after_module || word == "Module";
  });
  return version;
}

std::vector<std::string> library_folders(const MachineHints& hints) {
  std::vector<std::string> folders;
  for_each_part(hints.library_path, ":", [&](std::string_view folder) {
    if (folder.starts_with('/')) folders.emplace_back(folder);
  });
  for (const char* folder :
       {"/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/lib64",
        "/usr/lib/wsl/lib", "/usr/local/nvidia/lib64", "/usr/lib64/nvidia", "/run/opengl-driver/lib"})
    folders.emplace_back(folder);
  return folders;
}

void find_libcuda(const Root& root, const MachineHints& hints, Nvidia& to) {
  constexpr std::string_view kName = "libcuda.so.1";
  for (const std::string& folder : library_folders(hints)) {
    const std::string path = joined(folder, kName);
    if (!root.is_file(path)) continue;
    to.libcuda = path;
    const std::string real = root.resolve(path).value_or("");
    const std::string_view suffix = name_of(real).substr(std::min(name_of(real).size(), kName.size() - 1));
    if (to.driver.empty() && is_dotted_number(suffix) && suffix.find('.') != std::string_view::npos) {
      to.driver = suffix;
      to.driver_source = real;
    }
    return;
  }
}

void find_driver(const Root& root, Nvidia& to) {
  const std::string proc = "/proc/driver/nvidia/version", module = "/sys/module/nvidia/version";
  to.driver = driver_of_line(root.read(proc).value_or(""));
  to.driver_source = to.driver.empty() ? "" : proc;
  const std::string version{trimmed(root.read(module).value_or(""))};
  if (to.driver.empty() && is_dotted_number(version)) {
    to.driver = version;
    to.driver_source = module;
  }
}

std::string toolkit_version(const Root& root, const std::string& folder) {
  // version.json since 11.1: {"cuda": {"name": "CUDA SDK", "version": "12.4.1"}, …}; version.txt before.
  if (const auto json = root.read(joined(folder, "version.json"))) {
    const std::size_t cuda = json->find("\"cuda\"");
    const std::size_t key = cuda == std::string::npos ? cuda : json->find("\"version\"", cuda);
    const std::size_t open = key == std::string::npos ? key : json->find('"', key + 9);
    if (open != std::string::npos) return json->substr(open + 1, json->find('"', open + 1) - open - 1);
  }
  std::string version;
  for_each_part(root.read(joined(folder, "version.txt")).value_or(""), " \n", [&](std::string_view word) {
    if (version.empty() && is_dotted_number(word)) version = word;
  });
  return version;
}

// --- Toolkits of both

void push_installation(const Root& root, const std::string& folder, const std::string& version,
                       std::vector<Installation>& to) {
  const auto real = root.resolve(folder);
  if (!real || std::any_of(to.begin(), to.end(), [&](const auto& one) { return one.path == *real; })) return;
  to.push_back({*real, version});
}

void find_toolkits(const Root& root, const MachineHints& hints, std::vector<Installation>& to) {
  std::vector<std::string> folders;
  if (!hints.cuda_home.empty()) folders.push_back(hints.cuda_home);
  for (const std::string& name : root.list("/usr/local"))
    if (name.starts_with("cuda")) folders.push_back("/usr/local/" + name);
  for (const std::string& folder : folders) {
    const std::string version = toolkit_version(root, folder);
    if (!version.empty() || root.is_program(joined(folder, "bin/nvcc")))
      push_installation(root, folder, version, to);
  }
}

void find_rocm(const Root& root, const MachineHints& hints, std::vector<Installation>& to) {
  std::vector<std::string> folders;
  if (!hints.rocm_path.empty()) folders.push_back(hints.rocm_path);
  for (const std::string& name : root.list("/opt"))
    if (name.starts_with("rocm")) folders.push_back("/opt/" + name);
  for (const std::string& folder : folders) {
    const std::string version{trimmed(root.read(joined(folder, ".info/version")).value_or(""))};
    if (!version.empty() || root.is_program(joined(folder, "bin/rocminfo")))
      push_installation(root, folder, version.substr(0, version.find('\n')), to);
  }
}

// --- AMD

// The kernel writes 90010 for gfx90a: major · 10000 + minor · 100 + stepping, the last two in hexadecimal.
std::string gfx_name(std::string_view number) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error != std::errc{} || value == 0) return "";
  constexpr std::string_view kHex = "0123456789abcdef";
  return "gfx" + std::to_string(value / 10000) + kHex[value / 100 % 100 % 16] + kHex[value % 100 % 16];
}

void find_amd_gpus(const Root& root, std::vector<std::string>& to) {
  const std::string nodes = "/sys/class/kfd/kfd/topology/nodes";
  for (const std::string& node : root.list(nodes)) {
    const auto text = root.read(joined(joined(nodes, node), "properties"));
    // Processors are nodes too; they have no version of an instruction set.
    const std::string gfx = text ? gfx_name(value_of(*text, "gfx_target_version", ' ')) : "";
    if (!gfx.empty()) to.push_back(gfx);
  }
}

// --- Programs that know more

void ask_nvidia(Nvidia& to, unsigned seconds, std::vector<std::string>& complaints) {
  const ProgramAnswer answer = ask_program({to.smi, "-q"}, "", seconds);
  if (!answer.failure.empty() || answer.status != 0) {
    complaints.push_back(
        to.smi + ": " +
        (answer.failure.empty() ? std::string(trimmed(answer.output.substr(0, 200))) : answer.failure));
    return;
  }
  const std::string driver = value_of(answer.output, "Driver Version", ':');
  if (!driver.empty() && to.driver.empty()) {
    to.driver = driver;
    to.driver_source = to.smi;
  }
  to.cuda_of_driver = value_of(answer.output, "CUDA Version", ':');
  std::vector<std::string> gpus;
  for_each_part(answer.output, "\n", [&](std::string_view line) {
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos && trimmed(line.substr(0, colon)) == "Product Name")
      gpus.emplace_back(trimmed(line.substr(colon + 1)));
  });
  if (!gpus.empty()) to.gpus = std::move(gpus);
}

// Agents are processors and GPUs; a GPU's Name is its instruction set.
void ask_amd(Amd& to, unsigned seconds, std::vector<std::string>& complaints) {
  const ProgramAnswer answer = ask_program({to.rocminfo}, "", seconds);
  if (!answer.failure.empty() || answer.status != 0) {
    complaints.push_back(
        to.rocminfo + ": " +
        (answer.failure.empty() ? "exit code " + std::to_string(answer.status) : answer.failure));
    return;
  }
  std::vector<std::string> gpus;
  std::string name, marketing;
  for_each_part(answer.output, "\n", [&](std::string_view line) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    const std::string key(trimmed(line.substr(0, colon))), value(trimmed(line.substr(colon + 1)));
    if (key == "Name" && value.find("amdgcn") == std::string::npos) name = value;
    if (key == "Marketing Name") marketing = value;
    if (key == "Device Type" && value == "GPU")
      gpus.push_back(marketing.empty() ? name : name + " (" + marketing + ")");
  });
  if (!gpus.empty()) to.gpus = std::move(gpus);
}

}  // namespace

MachineHints hints_of_process() {
  return {text_of_environment("PATH"), text_of_environment("LD_LIBRARY_PATH"),
          text_of_environment("ROCM_PATH"), text_of_environment("CUDA_HOME")};
}

Machine examine_machine(const Root& root, const MachineHints& hints) {
  Machine machine;
  find_driver(root, machine.nvidia);
  find_libcuda(root, hints, machine.nvidia);
  const std::string gpus = "/proc/driver/nvidia/gpus";
  for (const std::string& gpu : root.list(gpus))
    if (const auto text = root.read(joined(joined(gpus, gpu), "information")))
      machine.nvidia.gpus.push_back(value_of(*text, "Model", ':'));
  find_toolkits(root, hints, machine.nvidia.toolkits);
  machine.nvidia.smi = program_on(root, hints.path, "nvidia-smi");

  machine.amd.driver_version = trimmed(root.read("/sys/module/amdgpu/version").value_or(""));
  machine.amd.driver = root.is_folder("/sys/module/amdgpu") || root.resolve("/dev/kfd").has_value();
  find_amd_gpus(root, machine.amd.gpus);
  find_rocm(root, hints, machine.amd.rocm);
  machine.amd.rocminfo = program_on(root, hints.path, "rocminfo");
  for (const Installation& rocm : machine.amd.rocm)
    if (machine.amd.rocminfo.empty() && root.is_program(joined(rocm.path, "bin/rocminfo")))
      machine.amd.rocminfo = joined(rocm.path, "bin/rocminfo");
  return machine;
}

void ask_machine(Machine& machine, unsigned seconds) {
  if (!machine.nvidia.smi.empty()) ask_nvidia(machine.nvidia, seconds, machine.complaints);
  if (!machine.amd.rocminfo.empty()) ask_amd(machine.amd, seconds, machine.complaints);
}

}  // namespace ferry::doctor
