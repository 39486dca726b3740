// `torchferry recorder`: the Python file that records what a model computes, to be run where the old model
// runs.
#pragma once

#include <string>
#include <string_view>

namespace ferry::cli {

struct RecorderOptions {
  std::string output;  // empty: to stdout
  bool force = false;  // replace an existing file
};

// scripts/torchferry_recorder.py as it was when this program was configured.
std::string_view recorder_text();

// Prints it, or writes it whole or not at all; returns 0.
int run_recorder(const RecorderOptions& options);

}  // namespace ferry::cli
