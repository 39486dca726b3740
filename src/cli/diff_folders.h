// Which file of one folder is which of another.
#pragma once

#include <string>
#include <vector>

#include "src/cli/diff.h"

namespace ferry::cli {

struct FolderPair {
  std::string name;  // the path below the folders, without the suffix; empty for two files
  std::string before, after;
};

struct FolderPairs {
  std::vector<FolderPair> pairs;
  std::vector<std::string> only_before, only_after;  // paths below the folders
};

// Two files are one pair.  Files of two folders meet by their path below them: with its suffix, and where
// that finds none, without (a.pth.tar and a.safetensors).  A quoted pattern is the folder in front of its
// first wildcard, of which only some files count.  A folder that holds a shard index (*.index.json)
// against a file is the model of that index.  Throws Code::no_input, Code::bad_usage for a file against a
// folder of files.
FolderPairs find_pairs(const DiffOptions& options);

}  // namespace ferry::cli
