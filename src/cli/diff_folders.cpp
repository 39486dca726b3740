#include "src/cli/diff_folders.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "src/cli/sources.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::cli {
namespace {

namespace fs = std::filesystem;

bool is_folder(const std::string& path) {
  std::error_code problem;
  return fs::is_directory(path, problem);
}

bool is_several(const std::string& path) { return is_folder(path) || is_pattern(path); }

// The one index of shards in a folder; empty where there is none, or more than one.
std::string index_in(const std::string& folder) {
  std::string found;
  std::error_code problem;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, problem)) {
    if (!entry.path().string().ends_with(".index.json")) continue;
    if (!found.empty()) return "";
    found = entry.path().string();
  }
  return found;
}

std::vector<SourceFile> files_of(const std::string& folder, const DiffOptions& options) {
  return find_sources(
      {.sources = {folder}, .output = {}, .files = options.files, .skips = options.skips, .weights = true},
      "");
}

std::string stem_of(const std::string& relative) {
  return relative.substr(0, relative.size() - checkpoint_suffix(relative, true));
}

// Files by name; a name that several have is of no use.
template <typename Name>
std::map<std::string, std::size_t> index_by(const std::vector<SourceFile>& files,
                                            const std::vector<bool>& taken, Name name) {
  constexpr std::size_t kSeveral = static_cast<std::size_t>(-1);
  std::map<std::string, std::size_t> index;
  for (std::size_t i = 0; i < files.size(); ++i)
    if (!taken[i]) {
      const auto [at, fresh] = index.try_emplace(name(files[i].relative), i);
      if (!fresh) at->second = kSeveral;
    }
  std::erase_if(index, [](const auto& row) { return row.second == kSeveral; });
  return index;
}

FolderPairs pair_folders(const DiffOptions& options) {
  const std::vector<SourceFile> before = files_of(options.before, options),
                                after = files_of(options.after, options);
  std::vector<bool> taken_before(before.size()), taken_after(after.size());
  FolderPairs found;
  const auto join = [&](auto name) {
    const auto mine = index_by(before, taken_before, name), others = index_by(after, taken_after, name);
    for (const auto& [key, i] : mine)
      if (const auto other = others.find(key); other != others.end()) {
        taken_before[i] = taken_after[other->second] = true;
        found.pairs.push_back({before[i].relative, before[i].path, after[other->second].path});
      }
  };
  join([](const std::string& relative) { return relative; });
  join(stem_of);
  std::sort(found.pairs.begin(), found.pairs.end(),
            [](const FolderPair& a, const FolderPair& b) { return a.name < b.name; });
  for (std::size_t i = 0; i < before.size(); ++i)
    if (!taken_before[i]) found.only_before.push_back(before[i].relative);
  for (std::size_t i = 0; i < after.size(); ++i)
    if (!taken_after[i]) found.only_after.push_back(after[i].relative);
  if (before.empty() || after.empty())
    throw Error(Code::no_input, "no file with the name of a checkpoint was found")
        .of(before.empty() ? options.before : options.after)
        .with_hint("--files '*' looks at every file, whatever its name");
  return found;
}

}  // namespace

FolderPairs find_pairs(const DiffOptions& options) {
  std::string sides[2] = {options.before, options.after};
  const bool folders[2] = {is_several(sides[0]), is_several(sides[1])};
  std::string indices[2];
  for (std::size_t i = 0; i < 2; ++i)
    if (folders[i] && is_folder(sides[i])) indices[i] = index_in(sides[i]);
  for (std::size_t i = 0; i < 2; ++i) {
    const bool other_is_one = !folders[1 - i] || !indices[1 - i].empty();
    if (folders[i] && !indices[i].empty() && other_is_one) sides[i] = indices[i];
    if (folders[i] && indices[i].empty() && !folders[1 - i])
      throw Error(Code::bad_usage, "a folder can be compared with a folder, a file with a file")
          .of(options.before)
          .with_hint("torchferry diff " + quote(sides[i] + "/FILE") + " …");
  }
  if (!is_several(sides[0]) && !is_several(sides[1])) return {{{"", sides[0], sides[1]}}, {}, {}};
  return pair_folders(options);
}

}  // namespace ferry::cli
