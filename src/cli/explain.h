// `torchferry explain`: what a code in a message or a report means, and what to do.
#pragma once

#include <string>
#include <vector>

namespace ferry::cli {

struct ExplainOptions {
  std::vector<std::string> codes;  // "TF101" or "101"; empty: one line for every code
  bool json = false;
};

int run_explain(const ExplainOptions& options);  // throws Code::bad_usage for a code that does not exist

}  // namespace ferry::cli
