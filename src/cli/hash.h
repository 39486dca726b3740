// `torchferry hash`: names for what checkpoints hold, the same in every container.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "src/convert/rule.h"

namespace ferry::cli {

struct HashOptions {
  std::vector<std::string> paths;  // files, folders, patterns
  convert::RuleOptions rules;      // select, includes, excludes
  bool as_stored = false;          // names as they are stored, not in the layout of 2.x
  bool tensors = false;            // a line for every tensor
  bool json = false;
  std::string check;     // a manifest that this verb wrote: compare instead of print
  std::size_t jobs = 0;  // threads; 0: one a processor
};

// Prints to stdout, messages to stderr; returns 0, 1 where --check found a difference, 2 or 3 what could not
// be read.
int run_hash(const HashOptions& options);

}  // namespace ferry::cli
