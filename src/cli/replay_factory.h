// A model that exists as Python only: the recorder runs its factory in the new environment.
#pragma once

#include "src/cli/replay.h"

namespace ferry::cli {

// The command that records `options.factory`: the Python, "-" for the program on its stdin, the recorder's
// arguments.  Throws Code::bad_usage for what the recorder cannot do (rounded operands, single operators,
// chosen cases).
std::vector<std::string> recorder_command(const ReplayOptions& options);

// Starts it and waits; prints what was done.  Returns 0.  Throws Code::helper_missing when there is no such
// Python, Code::model_failed with what the recorder said.
int run_factory(const ReplayOptions& options);

}  // namespace ferry::cli
