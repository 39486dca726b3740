// `torchferry convert`: checkpoints of PyTorch 1.x become what 2.x loads with weights_only=True.
#pragma once

#include <cstddef>
#include <string>

#include "src/cli/outputs.h"
#include "src/cli/sources.h"
#include "src/convert/rule.h"

namespace ferry::cli {

struct ConvertOptions {
  SourceOptions places;
  convert::RuleOptions rules;
  TargetOptions target;
  std::string report;    // a file: .txt, .json or .html; empty: none
  std::size_t jobs = 0;  // threads of the whole run; 0: one a processor
  bool dry_run = false;
  bool force = false;    // existing outputs are replaced
  bool salvage = false;  // of a damaged file, what is whole
  bool sync = true;
  bool verify = true;
  bool json = false;     // one document: torchferry.convert/1
  bool quiet = false;    // errors only
  bool verbose = false;  // every change of every file
  bool progress = true;
  bool color = false;  // stdout takes colours
};

// Prints to stdout, messages to stderr; returns the exit code, the worst of all files.
// Throws what concerns the run as a whole and is known before anything is written: colliding outputs, no
// input.
int run_convert(const ConvertOptions& options);

}  // namespace ferry::cli
