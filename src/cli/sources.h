// From what stands on the command line to the files to convert and the places for their conversions.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::cli {

struct SourceOptions {
  std::vector<std::string> sources;  // files, folders, patterns
  std::string output;                // a file for one file, a folder for a folder or several
  std::vector<std::string> files;    // patterns: which files of folders count, instead of the known suffixes
  std::vector<std::string> skips;    // patterns: which files of folders do not
  // What a converted file in a folder is called; empty: as its source.
  std::function<std::string(std::string_view)> rename = {};
  bool weights = false;  // files named as weights of other libraries count too: .safetensors, .npz …
};

struct SourceFile {
  std::string path;      // as given, or the folder as given and the way from it
  std::string relative;  // the place below the output folder
  bool named =
      true;  // given itself; false: found in a folder or by a pattern, and skipped when it is no checkpoint
  std::uint64_t size = 0;
};

struct Job {
  SourceFile source;
  std::string destination;
};

// Folders are searched to any depth, in the order of the names.  Links to files count, links to folders are
// not followed: so there are no loops, and nothing outside the tree is read.  A folder `without` is left out.
// A pattern that is no existing path is expanded here: * and ? do not cross slashes, ** does; its files keep
// their place below the part before the first wildcard.  A path that leads nowhere is returned as it is:
// opening it says why.
std::vector<SourceFile> find_sources(const SourceOptions& options, const std::string& without);

// Sources with their destinations.  Throws before anything is written: Code::output_collision when two inputs
// would become one output or an output would replace another input, Code::no_input, Code::cannot_write when a
// folder is needed where a file is.
std::vector<Job> plan_jobs(const SourceOptions& options);

// True for a text with wildcards that is no existing path.
bool is_pattern(const std::string& path);

// True for names by which people call checkpoints: .pt, .pth, .pth.tar, .ckpt …
bool has_checkpoint_suffix(std::string_view name);
// How many characters of the name are such a suffix, ".pth.tar" being one; 0: none.
std::size_t checkpoint_suffix(std::string_view name, bool weights);

}  // namespace ferry::cli
