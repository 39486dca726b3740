#include "src/cli/hash.h"

#include <algorithm>
#include <map>
#include <new>
#include <optional>
#include <unordered_map>

#include "src/cli/checksums.h"
#include "src/cli/content_hash.h"
#include "src/cli/diff_file.h"
#include "src/cli/name_map.h"
#include "src/cli/opened.h"
#include "src/cli/sources.h"
#include "src/cli/terminal.h"
#include "src/core/error.h"
#include "src/core/text.h"
#include "src/hash/xxh3.h"
#include "src/parallel/thread_executor.h"
#include "src/report/inspection_tree.h"
#include "src/report/json.h"

namespace ferry::cli {
namespace {

struct NamedHash {
  std::string path, dtype;
  std::vector<std::int64_t> shape;
  std::string hash;
};

struct FileHash {
  std::string path;
  std::string model;    // of the tensors with their names
  std::string weights;  // of the tensors alone: the same for two models whose names differ
  std::vector<NamedHash> tensors;
};

std::string digest(std::vector<std::string> lines) {
  std::sort(lines.begin(), lines.end());
  hash::Xxh3Stream stream;
  for (const std::string& line : lines) stream.update(as_bytes(line));
  return stream.hex();
}

// Each tensor once, however many names it has.
std::vector<std::string> hash_tensors(const Checkpoint& checkpoint, const std::vector<std::uint32_t>& tensors,
                                      Executor& executor) {
  const TensorViews views(checkpoint);
  const Checksums checks({&checkpoint, tensors}, executor);
  std::vector<std::string> hashes(tensors.size());
  executor.run(tensors.size(), [&](std::size_t i) {
    const auto hash = content_hash(views.view(tensors[i]));
    if (!hash)
      throw Error(Code::unsupported_tensor,
                  "a tensor repeats its elements beyond all bounds; it has no hash");
    hashes[i] = *hash;
  });
  return hashes;
}

FileHash hash_file(const std::string& path, const HashOptions& options, Executor& executor) {
  Opened opened = open_for_comparison(path);
  bring_to_layout(opened, options.rules, options.as_stored);

  const Checkpoint& checkpoint = opened.checkpoint;
  FileHash file{path, "", "", {}};
  std::vector<std::uint32_t> tensors;
  std::unordered_map<std::uint32_t, std::size_t> places;
  std::vector<std::size_t> places_of_rows;
  report::each_tensor(checkpoint, [&](const std::string& name, const Tensor& tensor) {
    const auto index = static_cast<std::uint32_t>(&tensor - checkpoint.tensors.data());
    if (tensor.storage == kNoStorage) return;  // a meta tensor has no content
    const auto [at, fresh] = places.try_emplace(index, tensors.size());
    if (fresh) tensors.push_back(index);
    places_of_rows.push_back(at->second);
    const auto shape = checkpoint.shape(tensor);
    file.tensors.push_back({name, std::string(info(tensor.dtype).name), {shape.begin(), shape.end()}, ""});
  });
  const std::vector<std::string> hashes = hash_tensors(checkpoint, tensors, executor);
  std::vector<std::string> named, bare;
  for (std::size_t i = 0; i < file.tensors.size(); ++i) {
    NamedHash& row = file.tensors[i];
    row.hash = hashes[places_of_rows[i]];
    named.push_back(row.path + '\0' + row.hash + '\n');
    bare.push_back(row.hash + '\n');
  }
  file.model = digest(std::move(named));
  file.weights = digest(std::move(bare));
  checkpoint.source->check_unchanged();
  return file;
}

// --- Output

void print_text(const FileHash& file, const HashOptions& options) {
  if (!options.tensors) return print(file.model + "  " + escape_for_terminal(file.path) + "\n");
  print("# " + escape_for_terminal(file.path) + "\n# model " + file.model + "\n# weights " + file.weights +
        "\n");
  for (const NamedHash& row : file.tensors)
    print(row.hash + "  " + escape_for_terminal(row.path) + "  " + row.dtype + " " +
          report::shape_text(row.shape) + "\n");
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
      json.field("hash", row.hash);
      json.end_object();
    }
    json.end_array();
  }
  json.end_object();
  json.finish();
}

// --- Manifests

// "HASH  PATH" lines.
std::vector<std::pair<std::string, std::string>> read_manifest(const std::string& path) {
  constexpr std::size_t kDigits = 32;
  std::vector<std::pair<std::string, std::string>> rows;
  const std::string text = read_text(path);
  std::size_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    ++number;
    if (line.empty() || line.front() == '#') continue;
    const bool whole = line.size() > kDigits + 2 && line.compare(kDigits, 2, "  ") == 0 &&
                       line.find_first_not_of("0123456789abcdef") == kDigits;
    if (!whole)
      throw Error(Code::bad_policy, "a line of a manifest holds 32 digits, two blanks and a path")
          .in("line " + std::to_string(number))
          .of(path);
    rows.emplace_back(line.substr(0, kDigits), line.substr(kDigits + 2));
  }
  if (rows.empty()) throw Error(Code::no_input, "the manifest is empty").of(path);
  return rows;
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
  for (const auto& [hash, path] : read_manifest(options.check))
    worst = std::max(worst, guarded(path, [&, &hash = hash, &path = path] {
                       const bool same = hash_file(path, options, executor).model == hash;
                       print(escape_for_terminal(path) + (same ? ": OK\n" : ": DIFFERS\n"));
                       return same ? 0 : 1;
                     }));
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
  int worst = 0;
  for (const SourceFile& source : files)
    worst = std::max(worst, guarded(source.path, [&] {
                       const FileHash file = hash_file(source.path, options, executor);
                       if (options.json)
                         print_json(file, options, style);
                       else
                         print_text(file, options);
                       return 0;
                     }));
  return worst;
}

}  // namespace ferry::cli
