// `torchferry diff`: what changed between two checkpoints, where, and how much.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "src/convert/rule.h"
#include "src/core/bound.h"

namespace ferry::cli {

enum class SpectralChoice : std::uint8_t {
  none,
  worst,  // of the rows that differ most, where that is cheap
  all,
};

struct DiffOptions {
  std::string before, after;   // files or folders; without `after`, `before` is what --save wrote
  convert::RuleOptions rules;  // what is compared: select, includes, excludes; renames and recipe of before
  bool as_stored = false;      // compare names and values as they are stored, not in the layout of 2.x
  bool after_is_result =
      false;           // after is compared as it is stored: it is to be what the rules make of before
  std::string map;     // a file of pairs of names
  std::string policy;  // a TOML file of bounds
  std::vector<BoundRow> bounds;
  bool nan_strict = false;
  bool check_dtype = true;           // another dtype is a difference
  std::vector<std::string> ignores;  // globs over dotted paths: differences there do not count
  SpectralChoice spectral = SpectralChoice::worst;
  std::vector<std::string> reports;       // files: .txt .json .jsonl .md .html
  std::string save;                       // an HDF5 archive of what was measured
  bool judged_again = false;              // what is measured may be judged by others later: with `save`
  bool save_differences = false;          // with the differences themselves
  std::vector<std::string> files, skips;  // which files of folders count
  std::size_t jobs = 0;                   // threads; 0: one a processor
  bool force = false;                     // existing reports are replaced
  bool json = false, jsonl = false;
  bool all = false;    // every row
  bool quiet = false;  // the exit code only
  bool progress = true;
  bool color = false;
  std::size_t rows = 20;
  std::size_t width = 0;  // columns of the terminal; 0: not a terminal
};

// Prints to stdout, messages to stderr; returns 0 the same or within the bounds, 1 differs, 2 or 3 what could
// not be read.  Throws what concerns the run as a whole.
int run_diff(const DiffOptions& options);

}  // namespace ferry::cli
