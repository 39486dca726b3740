// `torchferry inspect`: what a file is, who wrote it, what is in it, what PyTorch 2.x says to it, what
// convert would do.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace ferry::cli {

struct InspectOptions {
  std::vector<std::string> paths;  // files, folders, patterns
  bool json = false;               // one document a file: torchferry.inspect/1, JSONL for many files
  bool tree = false;               // the whole tree
  bool tensors = false;            // a row for every tensor
  bool globals = false;            // every name that the pickle mentions
  bool offsets = false;            // records, and where the bytes of every storage lie
  bool code = false;               // the source of classes that lies beside whole modules
  bool stats = false;              // minimum, maximum, mean … of every tensor: reads all bytes
  bool check = false;              // the checksum of every record: reads all bytes
  bool all = false;                // nothing is summarised
  bool color = false;              // the terminal takes colours
  std::size_t width = 0;           // columns of the terminal; 0: not a terminal, lines are never cut
};

// Prints to stdout, messages to stderr; returns the exit code: the worst of all files.
int run_inspect(const InspectOptions& options);

}  // namespace ferry::cli
