// `torchferry explain`: what a code in a message or a report means, and what to do; what a change of PyTorch
// is.
#pragma once

#include <string>
#include <vector>

namespace ferry::cli {

struct ExplainOptions {
  // "TF101", "101", or the id of a known change, "interp-scale"; empty: one line for every code.
  std::vector<std::string> codes;
  bool known_changes = false;  // one line for every known change of PyTorch instead
  bool json = false;
};

// Throws Code::bad_usage for a code or an id that does not exist.
int run_explain(const ExplainOptions& options);

}  // namespace ferry::cli
