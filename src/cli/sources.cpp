#include "src/cli/sources.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <system_error>

#include "src/core/error.h"
#include "src/core/sink.h"
#include "src/core/text.h"

namespace ferry::cli {
namespace {

namespace fs = std::filesystem;

constexpr auto kSuffixes = std::to_array<std::string_view>(
    {".pt", ".pth", ".tar", ".ckpt", ".chkpt", ".checkpoint", ".th", ".bin", ".pkl", ".pickle", ".model",
     ".jit", ".joblib", ".weights", ".params", ".state", ".torch", ".pyth", ".opt"});
// Files of weights that convert would not put in the place of themselves.
constexpr auto kWeightsSuffixes =
    std::to_array<std::string_view>({".safetensors", ".npz", ".npy", ".h5", ".hdf5"});

std::string join(const std::string& folder, std::string_view name) {
  if (folder.empty()) return std::string(name);
  return folder + (folder.ends_with('/') ? "" : "/") + std::string(name);
}

bool is_folder(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

std::uint64_t size_of(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

// "runs/2020/" → "2020"; nothing for ".", ".." and "/", which give no name to a folder below the output.
std::string own_name(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  const std::string name = path.substr(path.find_last_of('/') + 1);
  return name == "." || name == ".." ? "" : name;
}

// --- Folders

struct Entry {
  std::string name;
  bool link;
  struct stat status;  // of what a link leads to; of the link itself when that is nothing
};

// The entries of a folder by name; nothing when it cannot be read.
std::optional<std::vector<Entry>> entries_of(const std::string& folder) {
  DIR* const listing = ::opendir(folder.empty() ? "." : folder.c_str());
  if (listing == nullptr) return std::nullopt;
  std::vector<Entry> entries;
  while (const dirent* found = ::readdir(listing)) {
    Entry entry{found->d_name, false, {}};
    if (entry.name == "." || entry.name == "..") continue;
    if (::fstatat(::dirfd(listing), found->d_name, &entry.status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    entry.link = S_ISLNK(entry.status.st_mode);
    if (entry.link) ::fstatat(::dirfd(listing), found->d_name, &entry.status, 0);
    entries.push_back(std::move(entry));
  }
  ::closedir(listing);
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return entries;
}

// A pattern without a slash is about names, one with a slash about the way from the folder that was given.
bool matches_any(const std::vector<std::string>& patterns, const std::string& relative,
                 const std::string& name) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return glob_match(pattern, pattern.find('/') == std::string::npos ? name : relative);
  });
}

class FolderSearch {
 public:
  FolderSearch(const SourceOptions& options, const std::string& without, std::vector<SourceFile>& found)
      : options_(options), found_(found) {
    if (!without.empty()) excluded_ = ::stat(without.c_str(), &without_) == 0;
  }

  // Depth first, with an explicit stack: the depth of a tree is not ours to choose.
  void search(const std::string& root, const std::string& below) {
    std::vector<Place> open{{root, below, ""}};
    while (!open.empty()) {
      const Place place = std::move(open.back());
      open.pop_back();
      const auto entries = entries_of(place.path);
      if (!entries) {
        found_.push_back({place.path, place.below, true, 0});
        continue;
      }
      std::vector<Place> folders;
      for (const Entry& entry : *entries) visit(place, entry, folders);
      open.insert(open.end(), folders.rbegin(), folders.rend());
    }
  }

 private:
  struct Place {
    std::string path, below, relative;  // as found; below the output; from the root of the search
  };

  void visit(const Place& place, const Entry& entry, std::vector<Place>& folders) {
    const std::string path = join(place.path, entry.name), relative = join(place.relative, entry.name);
    if (S_ISDIR(entry.status.st_mode)) {
      if (!entry.link && !is_excluded(entry))
        folders.push_back({path, join(place.below, entry.name), relative});
      return;
    }
    const bool dangling = S_ISLNK(entry.status.st_mode);
    if (!S_ISREG(entry.status.st_mode) && !dangling) return;
    const bool wanted = options_.files.empty() ? checkpoint_suffix(entry.name, options_.weights) > 0
                                               : matches_any(options_.files, relative, entry.name);
    if (!wanted || matches_any(options_.skips, relative, entry.name)) return;
    const auto size = dangling ? 0 : static_cast<std::uint64_t>(entry.status.st_size);
    found_.push_back({path, join(place.below, entry.name), false, size});
  }

  bool is_excluded(const Entry& entry) const {
    return excluded_ && entry.status.st_dev == without_.st_dev && entry.status.st_ino == without_.st_ino;
  }

  const SourceOptions& options_;
  std::vector<SourceFile>& found_;
  struct stat without_ {};
  bool excluded_ = false;
};

// --- Patterns

bool has_wildcard(std::string_view text) { return text.find_first_of("*?[") != std::string_view::npos; }

std::vector<std::string> parts_of(std::string_view path) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t slash = std::min(path.find('/', at), path.size());
    if (slash > at) parts.emplace_back(path.substr(at, slash - at));
    at = slash + 1;
  }
  return parts;
}

void expand(const std::string& folder, const std::vector<std::string>& parts, std::size_t at,
            std::set<std::string>& found) {
  if (at == parts.size()) {
    found.insert(folder);
    return;
  }
  const std::string& part = parts[at];
  const bool last = at + 1 == parts.size(), any_depth = part == "**";
  if (!has_wildcard(part)) {
    const std::string path = join(folder, part);
    if (last ? fs::exists(fs::path(path)) : is_folder(path)) expand(path, parts, at + 1, found);
    return;
  }
  if (any_depth && !last) expand(folder, parts, at + 1, found);
  for (const Entry& entry : entries_of(folder).value_or(std::vector<Entry>{})) {
    if (::fnmatch(any_depth ? "*" : part.c_str(), entry.name.c_str(), FNM_PERIOD) != 0) continue;
    const std::string path = join(folder, entry.name);
    const bool folder_inside = S_ISDIR(entry.status.st_mode);
    if (any_depth && folder_inside && !entry.link) expand(path, parts, at, found);
    if (any_depth ? last && !folder_inside : last || folder_inside) expand(path, parts, at + 1, found);
  }
}

// The way from the folder before the first wildcard, without steps that would lead out of it again.
std::string place_below(const std::string& path, const std::string& fixed) {
  const fs::path way =
      fs::path(path.substr(std::min(path.size(), fixed.size()))).relative_path().lexically_normal();
  return way.empty() || *way.begin() == ".." ? own_name(path) : way.string();
}

void find_by_pattern(const std::string& pattern, FolderSearch& folders, std::vector<SourceFile>& found) {
  const std::vector<std::string> parts = parts_of(pattern);
  std::string fixed = pattern.starts_with('/') ? "/" : "";
  std::size_t at = 0;
  while (!has_wildcard(parts[at])) fixed = join(fixed, parts[at++]);
  std::set<std::string> paths;
  expand(fixed, parts, at, paths);
  if (paths.empty()) found.push_back({pattern, own_name(pattern), true, 0});
  for (const std::string& path : paths) {
    if (is_folder(path))
      folders.search(path, place_below(path, fixed));
    else
      found.push_back({path, place_below(path, fixed), false, size_of(path)});
  }
}

// --- Destinations

bool is_several(const SourceOptions& options) {
  return options.sources.size() > 1 || is_folder(options.sources[0]) || is_pattern(options.sources[0]);
}

bool goes_into_folder(const SourceOptions& options) {
  return is_several(options) || options.output.ends_with('/') || is_folder(options.output);
}

// One name for all paths that lead to a file, also one that does not exist yet.
class PathKeys {
 public:
  std::string key(const std::string& path) {
    std::error_code problem;
    const fs::path whole(path);
    if (fs::is_symlink(whole, problem)) {
      const fs::path target = fs::canonical(whole, problem);
      if (!problem) return target.string();
    }
    return join(folder_key(whole.parent_path().string()), whole.filename().string());
  }

 private:
  const std::string& folder_key(const std::string& folder) {
    const auto [at, is_new] = folders_.try_emplace(folder);
    if (!is_new) return at->second;
    std::error_code problem;
    const fs::path real = fs::weakly_canonical(folder.empty() ? "." : folder, problem);
    at->second = problem ? fs::absolute(folder, problem).lexically_normal().string() : real.string();
    return at->second;
  }

  std::map<std::string, std::string> folders_;
};

// "2020/best.pth.tar" with the name that its conversion has.
std::string converted_place(const std::string& relative, const SourceOptions& options) {
  if (!options.rename) return relative;
  const std::size_t begin = relative.find_last_of('/') + 1;
  return relative.substr(0, begin) + options.rename(std::string_view(relative).substr(begin));
}

// Drops what was named twice, and refuses what would be lost.
std::vector<Job> without_collisions(std::vector<Job> jobs) {
  PathKeys keys;
  std::map<std::string, std::size_t> outputs;
  std::vector<Job> kept;
  for (Job& job : jobs) {
    const auto [at, is_new] = outputs.try_emplace(keys.key(job.destination), kept.size());
    if (is_new) {
      kept.push_back(std::move(job));
      continue;
    }
    const std::string& other = kept[at->second].source.path;
    if (other == job.source.path || is_same_file(other, job.source.path)) continue;
    throw Error(Code::output_collision, quote(other) + " and " + quote(job.source.path) +
                                            " would both be written to " + quote(job.destination) +
                                            "; nothing was written");
  }
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const auto found = outputs.find(keys.key(kept[i].source.path));
    if (found == outputs.end() || found->second == i) continue;
    throw Error(Code::output_collision, "the conversion of " + quote(kept[found->second].source.path) +
                                            " would replace another input, " + quote(kept[i].source.path) +
                                            "; nothing was written");
  }
  return kept;
}

}  // namespace

std::size_t checkpoint_suffix(std::string_view name, bool weights) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
  const auto end_of = [&](std::string_view suffix) { return lower.ends_with(suffix) ? suffix.size() : 0; };
  std::size_t found = 0;
  for (const std::string_view suffix : kSuffixes) found = std::max(found, end_of(suffix));
  if (found == 4 && lower.ends_with(".pth.tar")) return 8;
  if (weights)
    for (const std::string_view suffix : kWeightsSuffixes) found = std::max(found, end_of(suffix));
  return found;
}

bool has_checkpoint_suffix(std::string_view name) { return checkpoint_suffix(name, false) > 0; }

bool is_pattern(const std::string& path) {
  struct stat status {};
  return has_wildcard(path) && ::lstat(path.c_str(), &status) != 0;
}

std::vector<SourceFile> find_sources(const SourceOptions& options, const std::string& without) {
  std::vector<SourceFile> found;
  FolderSearch folders(options, without, found);
  for (const std::string& source : options.sources) {
    if (is_pattern(source))
      find_by_pattern(source, folders, found);
    else if (is_folder(source))
      // As with cp: what is in one folder goes into the output; of several, each keeps its name there.
      folders.search(source, options.sources.size() > 1 ? own_name(source) : "");
    else
      found.push_back({source, own_name(source), true, size_of(source)});
  }
  return found;
}

std::vector<Job> plan_jobs(const SourceOptions& options) {
  const bool into_folder = goes_into_folder(options);
  struct stat status {};
  if (into_folder && ::stat(options.output.c_str(), &status) == 0 && !S_ISDIR(status.st_mode))
    throw Error(Code::cannot_write,
                "the output must be a folder, for there are several inputs, and it is a file")
        .of(options.output);
  std::vector<Job> jobs;
  for (SourceFile& source : find_sources(options, into_folder ? options.output : "")) {
    const std::string destination =
        into_folder ? join(options.output, converted_place(source.relative, options)) : options.output;
    jobs.push_back({std::move(source), destination});
  }
  if (jobs.empty())
    throw Error(Code::no_input, "no file with the name of a checkpoint was found")
        .of(options.sources[0])
        .with_hint("--files '*' looks at every file, whatever its name");
  return without_collisions(std::move(jobs));
}

}  // namespace ferry::cli
