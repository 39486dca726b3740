// What the machine has for PyTorch to compute on: drivers, toolkits and GPUs of NVIDIA and AMD, as files
// tell.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/cli/doctor/root.h"

namespace ferry::doctor {

struct Installation {
  std::string path, version;  // version: empty where nothing says it
};

struct Nvidia {
  std::string driver, driver_source;  // "535.129.03" and the file that says so; empty: no driver was found
  std::string libcuda;                // the library that programs load; empty: none
  std::vector<std::string> gpus;      // names, one for each
  std::vector<Installation> toolkits;
  std::string smi;             // the path of nvidia-smi; empty: none
  std::string cuda_of_driver;  // as nvidia-smi says, when it was asked
};

struct Amd {
  bool driver = false;            // the kernel's own (/dev/kfd or the module)
  std::string driver_version;     // of the module, where it has one
  std::vector<std::string> gpus;  // "gfx90a", one for each
  std::vector<Installation> rocm;
  std::string rocminfo;  // its path; empty: none
};

struct Machine {
  Nvidia nvidia;
  Amd amd;
  std::vector<std::string> complaints;  // of programs that were asked and did not answer
};

// `path` is PATH, for nvidia-smi and rocminfo; `library_path` LD_LIBRARY_PATH; `rocm_path` and `cuda_home`
// may be empty.
struct MachineHints {
  std::string path, library_path, rocm_path, cuda_home;
};
MachineHints hints_of_process();

// Nothing is run.
Machine examine_machine(const Root& root, const MachineHints& hints);

// Asks nvidia-smi and rocminfo, where they are, and adds what only they know.
void ask_machine(Machine& machine, unsigned seconds);

}  // namespace ferry::doctor
