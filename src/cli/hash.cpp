#include "src/cli/hash.h"

#include <algorithm>
#include <new>
#include <set>
#include <string_view>

#include "src/cli/hash_file.h"
#include "src/cli/name_map.h"
#include "src/cli/sources.h"
#include "src/cli/terminal.h"
#include "src/core/error.h"
#include "src/core/text.h"
#include "src/parallel/thread_executor.h"
#include "src/report/inspection_tree.h"
#include "src/report/json.h"

namespace ferry::cli {
namespace {

constexpr std::string_view kNoData = ", no data";

// --- Output

std::string tensor_text(const NamedHash& row) {
  return escape_for_terminal(row.path) + "  " + (row.layout.empty() ? "" : row.layout + " ") + row.dtype +
         " " + report::shape_text(row.shape) + (row.has_data ? "" : std::string(kNoData));
}

void print_text(const FileHash& file, const HashOptions& options) {
  if (!options.tensors) return print(file.model + "  " + escape_for_terminal(file.path) + "\n");
  print("# " + escape_for_terminal(file.path) + "\n# model " + file.model + "\n# weights " + file.weights +
        "\n");
  for (const NamedHash& row : file.tensors) print(row.hash + "  " + tensor_text(row) + "\n");
}

// A hash of tensors without data must not pass for one of weights.
void remark_without_data(const FileHash& file) {
  const std::size_t count = file.without_data();
  if (count == 0) return;
  print_remark(escape_for_terminal(file.path) + ": " + report::plural(count, "tensor has", "tensors have") +
               " no data (meta) and " + (count == 1 ? "is" : "are") +
               " hashed by name, type and shape alone");
}

void print_json(const FileHash& file, const HashOptions& options, report::JsonWriter::Style style) {
  report::JsonWriter json(print, style);
  json.begin_object();
  json.field("schema", "torchferry.hash/1");
  json.field("path", file.path);
  json.field("algorithm", "xxh3-128");
  json.field("model", file.model);
  json.field("weights", file.weights);
  json.field("tensor_count", file.tensors.size());
  json.field("without_data", file.without_data());
  if (options.tensors) {
    json.key("tensors");
    json.begin_array();
    for (const NamedHash& row : file.tensors) {
      json.begin_object(report::JsonWriter::Lines::one);
      json.field("name", row.path);
      json.field("dtype", row.dtype);
      json.key("shape");
      json.begin_array(report::JsonWriter::Lines::one);
      for (const std::int64_t size : row.shape) json.value(size);
      json.end_array();
      if (!row.layout.empty()) json.field("layout", row.layout);
      if (!row.has_data) json.field("has_data", false);
      json.field("hash", row.hash);
      json.end_object();
    }
    json.end_array();
  }
  json.end_object();
  json.finish();
}

// --- Manifests

// A file of a manifest, and what it says of the tensors where it was printed by --tensors.
struct ManifestFile {
  std::string model, path;
  std::vector<std::pair<std::string, std::string>> tensors;  // hash, text
};

class ManifestReader {
 public:
  explicit ManifestReader(const std::string& path) : path_(path) {}

  std::vector<ManifestFile> run() {
    const std::string text = read_text(path_);
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      ++number_;
      take(text.substr(at, end - at));
      at = end + 1;
    }
    if (files_.empty()) throw Error(Code::no_input, "the manifest is empty").of(path_);
    return std::move(files_);
  }

 private:
  static constexpr std::size_t kDigits = 32;
  static constexpr std::string_view kModel = "# model ", kHexadecimal = "0123456789abcdef";

  // "# PATH", "# model HASH" begin what --tensors says of a file.
  void take(const std::string& line) {
    if (line.starts_with(kModel) && line.size() == kModel.size() + kDigits && remark_.size() > 2 &&
        line.find_first_not_of(kHexadecimal, kModel.size()) == std::string::npos) {
      files_.push_back({line.substr(kModel.size()), remark_.substr(2), {}});
      of_tensors_ = true;
    } else if (line.starts_with('#')) {
      remark_ = line;
    } else if (!line.empty()) {
      take_hash(line);
    }
  }

  void take_hash(const std::string& line) {
    const bool whole = line.size() > kDigits + 1 && line.compare(kDigits, 2, "  ") == 0 &&
                       line.find_first_not_of(kHexadecimal) == kDigits;
    std::string hash = line.substr(0, kDigits), rest = whole ? line.substr(kDigits + 2) : "";
    const bool tensor = of_tensors_ && rest.find("  ") != std::string::npos &&
                        (rest.ends_with(']') || rest.ends_with(kNoData));
    if (!whole || rest.empty())
      throw Error(Code::bad_policy, "a line of a manifest holds 32 digits, two blanks and a path")
          .in("line " + std::to_string(number_))
          .of(path_);
    if (tensor) {
      files_.back().tensors.emplace_back(std::move(hash), std::move(rest));
    } else {
      files_.push_back({std::move(hash), std::move(rest), {}});
      of_tensors_ = false;
    }
  }

  const std::string& path_;
  std::size_t number_ = 0;
  std::string remark_;
  bool of_tensors_ = false;
  std::vector<ManifestFile> files_;
};

std::string name_in(const std::string& tensor) { return tensor.substr(0, tensor.rfind("  ")); }

// What became of each tensor that is not as the manifest has it, a line each.
std::string changes_since(const ManifestFile& was, const FileHash& is) {
  std::set<std::pair<std::string, std::string>> lines_is;
  std::set<std::string> names_was, names_is;
  for (const auto& [hash, text] : was.tensors) names_was.insert(name_in(text));
  for (const NamedHash& row : is.tensors) {
    lines_is.emplace(row.hash, tensor_text(row));
    names_is.insert(name_in(tensor_text(row)));
  }
  std::string text;
  for (const auto& line : was.tensors)
    if (!lines_is.contains(line))
      text += "  " + name_in(line.second) +
              (names_is.contains(name_in(line.second)) ? ": differs\n" : ": removed\n");
  for (const std::string& name : names_is)
    if (!names_was.contains(name)) text += "  " + name + ": added\n";
  return text;
}

int check_listed(const ManifestFile& was, const FileHash& is) {
  bool same = is.model == was.model;
  std::string changes;
  if (!was.tensors.empty()) {
    changes = changes_since(was, is);
    same = same && changes.empty();
  }
  print(escape_for_terminal(is.path) + (same ? ": OK\n" : ": DIFFERS\n") + changes);
  return same ? 0 : 1;
}

// Runs `work` for a file; what stops it is said, and is its exit code.
template <typename Work>
int guarded(const std::string& path, Work work) {
  const auto fail = [&](Error error) {
    print_error(error.of(path));
    return error.fault() == Fault::refused ? 3 : 2;
  };
  try {
    return work();
  } catch (const Error& error) {
    return fail(error);
  } catch (const std::bad_alloc&) {
    return fail(Error(Code::out_of_memory, "there was not enough memory"));
  }
}

int check_manifest(const HashOptions& options, Executor& executor) {
  int worst = 0;
  for (const ManifestFile& was : ManifestReader(options.check).run())
    worst = std::max(
        worst, guarded(was.path, [&] { return check_listed(was, hash_file(was.path, options, executor)); }));
  return worst;
}

}  // namespace

int run_hash(const HashOptions& options) {
  parallel::ThreadExecutor executor(options.jobs > 0 ? options.jobs : parallel::usable_processors());
  if (!options.check.empty()) return check_manifest(options, executor);
  const std::vector<SourceFile> files =
      find_sources({.sources = options.paths, .output = {}, .files = {}, .skips = {}, .weights = true}, "");
  const auto style = options.paths.size() > 1 || files.size() > 1 ? report::JsonWriter::Style::compact
                                                                  : report::JsonWriter::Style::pretty;
  if (files.empty())
    throw Error(Code::no_input, "no file with the name of a checkpoint was found").of(options.paths[0]);
  int worst = 0;
  for (const SourceFile& source : files)
    worst = std::max(worst, guarded(source.path, [&] {
                       const FileHash file = hash_file(source.path, options, executor);
                       if (options.json)
                         print_json(file, options, style);
                       else
                         print_text(file, options);
                       if (!options.json) remark_without_data(file);
                       return 0;
                     }));
  return worst;
}

}  // namespace ferry::cli
