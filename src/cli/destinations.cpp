#include "src/cli/destinations.h"

#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "formats/json/json.h"
#include "formats/state/state.h"
#include "src/cli/name_map.h"
#include "src/core/error.h"
#include "src/core/sink.h"
#include "src/core/text.h"

namespace ferry::cli {
namespace {

constexpr std::string_view kIndexSuffix = ".index.json";

// Device and inode of what a path leads to.
using FileId = std::pair<dev_t, ino_t>;

std::optional<FileId> file_id(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return FileId{status.st_dev, status.st_ino};
}

// One name for all paths to a file that may not exist yet.
std::string whole_path(const std::string& path) {
  std::error_code problem;
  const std::filesystem::path whole =
      std::filesystem::weakly_canonical(std::filesystem::absolute(path), problem);
  return problem ? path : whole.string();
}

// The files that a shard index names; none when it cannot be read: opening it says why.
std::vector<std::string> shards_of(const std::string& index) {
  std::vector<std::string> shards;
  try {
    const json::Value document = json::parse(read_text(index), {.space_before = true});
    const json::Value* const map = document.find("weight_map");
    if (map == nullptr || map->object() == nullptr) return {};
    std::set<std::string> names;
    for (const auto& [tensor, shard] : *map->object())
      if (shard.text() != nullptr) names.insert(*shard.text());
    const std::string folder = index.substr(0, index.find_last_of('/') + 1);
    for (const std::string& name : names) shards.push_back(folder + name);
  } catch (const Error&) {
    shards.clear();
  }
  return shards;
}

// Every file that is read, and the path by which it is known.
std::map<FileId, std::string> files_read(const std::vector<std::string>& inputs) {
  std::map<FileId, std::string> files;
  const auto add = [&](const std::string& path) {
    if (const auto id = file_id(path)) files.try_emplace(*id, path);
  };
  for (const std::string& path : inputs) {
    if (path.empty()) continue;
    const bool index = path.ends_with(kIndexSuffix);
    add(path);
    add((index ? path.substr(0, path.size() - kIndexSuffix.size()) : path) + std::string(state::kSuffix));
    if (index)
      for (const std::string& shard : shards_of(path)) add(shard);
  }
  return files;
}

}  // namespace

void check_outputs(const std::vector<std::string>& outputs, const std::vector<std::string>& inputs,
                   bool replace) {
  if (outputs.empty()) return;
  const std::map<FileId, std::string> files = files_read(inputs);
  std::set<std::string> paths;
  std::set<FileId> ids;
  for (const std::string& output : outputs) {
    const auto id = file_id(output);
    if (const auto input = id ? files.find(*id) : files.end(); input != files.end())
      throw Error(Code::same_file, "the result would replace a file that is read" +
                                       (input->second == output ? "" : ": " + quote(input->second)))
          .of(output)
          .with_hint("give the result another name");
    if (!paths.insert(whole_path(output)).second || (id && !ids.insert(*id).second))
      throw Error(Code::bad_usage, "two results would be written to this file")
          .of(output)
          .with_hint("give each result a name of its own");
    check_destination(output, replace);
  }
}

}  // namespace ferry::cli
