// `torchferry doctor`: this machine, its Pythons, the PyTorch in them, and what goes with it.
#pragma once

#include <string>
#include <vector>

namespace ferry::cli {

struct DoctorOptions {
  std::vector<std::string> pythons;  // these alone; empty: all that are found
  std::string root = "/";            // the file system to look at
  std::string ranges;                // a table to use instead of the built-in one; empty: none
  bool run = false;                  // ask the interpreters, nvidia-smi and rocminfo too
  unsigned seconds = 60;             // for each of them
  bool json = false;
};

// Prints to stdout; returns 0, or 1 when there are conflicts.
int run_doctor(const DoctorOptions& options);

}  // namespace ferry::cli
