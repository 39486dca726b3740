// What doctor found, as the reports tell it: torchferry itself, the machine, and every Python with its
// PyTorch.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "src/cli/doctor/machine.h"
#include "src/cli/doctor/python.h"
#include "src/cli/doctor/root.h"
#include "src/cli/doctor/tables.h"
#include "src/cli/doctor/torch_version.h"
#include "src/core/finding.h"

namespace ferry::doctor {

struct Remark {
  Code code;
  bool conflict = false;  // counts for the exit code
  std::string what;
};

// --- torchferry itself

struct Feature {
  std::string name;  // "isal", "hdf5", "torch-replay"
  bool on = false;
};

struct Helper {
  std::string program, path;
  bool there = false, answers = false;
  std::string failure;  // why it does not answer
};

// --- Pythons

struct Torch {
  std::string folder;   // of the package
  std::string version;  // of version.py, else of the metadata
  std::optional<std::string> metadata_version;
  Build build = Build::unknown;
  std::optional<std::string> cuda, rocm, hip, xpu, git_version;
};

struct Package {
  std::string name;                      // as pip writes it
  std::optional<std::string> installed;  // the version; none: it is not there
  std::string metadata;
  std::optional<std::string> range;  // for the PyTorch found
  std::optional<bool> fits;          // none: nothing to compare
};

// What the interpreter itself said (--run).
struct Said {
  std::string failure;  // why it said nothing
  std::string version, torch, torch_error;
  std::optional<bool> cuda_available;
  std::vector<std::string> devices;
};

struct PythonReport {
  Python python;
  std::optional<Torch> torch;
  std::string release;            // the row of the table: "2.4 – 2.9"; empty: none
  std::vector<Package> packages;  // in the order of the table
  std::vector<Remark> remarks;
  std::vector<std::string> install;  // commands: what mends conflicts, else what is missing
  std::optional<Said> said;
};

struct Diagnosis {
  std::vector<Feature> features;
  std::vector<Helper> helpers;
  Machine machine;
  std::vector<Remark> remarks;  // of torchferry and the machine
  std::vector<PythonReport> pythons;

  std::size_t conflicts() const;
};

struct Knowledge {
  PackageRanges ranges;
  Accelerators accelerators;
};

// Reads what is installed and judges it; runs nothing.
PythonReport examine_python(const Root& root, const Python& python, const Machine& machine,
                            const Knowledge& knowledge);

// Runs the interpreter and adds what it says.
void ask_python(PythonReport& report, unsigned seconds);

// A word of a command line as a POSIX shell reads it back: quoted where it must be.
std::string shell_word(std::string_view word);

}  // namespace ferry::doctor
