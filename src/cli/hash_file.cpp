#include "src/cli/hash_file.h"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

#include "src/cli/checksums.h"
#include "src/cli/content_hash.h"
#include "src/cli/diff_file.h"
#include "src/cli/opened.h"
#include "src/core/composite.h"
#include "src/core/error.h"
#include "src/core/paths.h"
#include "src/hash/xxh3.h"

namespace ferry::cli {
namespace {

std::string digest(std::vector<std::string> lines) {
  std::sort(lines.begin(), lines.end());
  hash::Xxh3Stream stream;
  for (const std::string& line : lines) stream.update(as_bytes(line));
  return stream.hex();
}

std::string digest(std::string_view text) {
  hash::Xxh3Stream stream;
  stream.update(as_bytes(text));
  return stream.hex();
}

// --- Names

// A key with its kind, so that 3 and "3" differ.  A tuple may hold one tuple many times over, and is followed
// for so many steps only.
std::string exact_key(const ValueGraph& graph, NodeId key) {
  constexpr std::size_t kStepsMax = 10000;
  std::string text;
  std::vector<NodeId> open{key};
  for (std::size_t steps = 0; !open.empty() && steps < kStepsMax; ++steps) {
    const NodeId id = open.back();
    open.pop_back();
    const auto items = graph.kind(id) == Kind::tuple ? graph.items(id) : std::span<const NodeId>();
    const std::string shown = graph.kind(id) == Kind::real    ? std::to_string(graph.node(id).word())
                              : graph.kind(id) == Kind::tuple ? std::to_string(items.size())
                                                              : key_text(graph, id);
    text +=
        std::to_string(static_cast<int>(graph.kind(id))) + ":" + std::to_string(shown.size()) + ":" + shown;
    open.insert(open.end(), items.rbegin(), items.rend());
  }
  return text;
}

// Where a tensor stands: under which item of which container.
struct Place {
  std::uint32_t visit, slot;
};

// What leads to each container that was visited, as a digest: names may be long, and above thousands of
// tensors.
class ExactNames {
 public:
  ExactNames(const ValueGraph& graph, const Paths& paths) : graph_(graph), paths_(paths) {
    for (const Paths::Visit& visit : paths.visits())
      containers_.push_back(containers_.empty() ? "" : of({visit.parent, visit.slot}));
  }

  std::string of(Place place) const {
    const NodeId node = paths_.visits()[place.visit].node;
    const bool attributes = place.slot == Paths::kAttributes;
    const bool key = !attributes && graph_.kind(node) == Kind::dict;
    return digest(containers_[place.visit] +
                  (attributes ? "attributes"
                   : key      ? "key " + exact_key(graph_, graph_.items(node)[place.slot & ~1u])
                              : "item " + std::to_string(place.slot)));
  }

 private:
  const ValueGraph& graph_;
  const Paths& paths_;
  std::vector<std::string> containers_;  // by visit
};

// --- Tensors

class FileHasher {
 public:
  FileHasher(const Checkpoint& checkpoint, Executor& executor)
      : checkpoint_(checkpoint), graph_(checkpoint.values), paths_(graph_, Reach::containers) {
    list_values();
    for (const NodeId node : nodes_)
      if (graph_.kind(node) == Kind::tensor)
        need(node);
      else
        for (const NodeId part : graph_.items(node))
          if (graph_.kind(part) == Kind::tensor) need(part);
    hash_contents(executor);
  }

  // Once: the names move into the rows.
  void fill(FileHash& file) {
    file.tensors.reserve(nodes_.size());
    for (std::size_t i = 0; i < nodes_.size(); ++i)
      file.tensors.push_back(row_of(std::move(names_[i]), nodes_[i]));
    std::unordered_map<std::string_view, std::size_t> times;
    for (const NamedHash& row : file.tensors) ++times[row.path];
    std::optional<ExactNames> exact;
    if (times.size() < file.tensors.size()) exact.emplace(graph_, paths_);
    std::vector<std::string> named, bare;
    for (std::size_t i = 0; i < file.tensors.size(); ++i) {
      const NamedHash& row = file.tensors[i];
      const std::string line = row.hash + '\n';
      named.push_back(row.path + '\0' + (times[row.path] == 1 ? "" : exact->of(places_[i]) + '\0') + line);
      bare.push_back(line);
    }
    file.model = digest(std::move(named));
    file.weights = digest(std::move(bare));
  }

 private:
  void list_values() {
    if (graph_.is_tensor(graph_.root())) return add("", graph_.root(), {0, 0});
    for (std::uint32_t visit = 0; visit < paths_.visits().size(); ++visit) {
      const NodeId node = paths_.visits()[visit].node;
      if (graph_.kind(node) == Kind::composite) continue;
      const bool dict = graph_.kind(node) == Kind::dict;
      const auto items = graph_.items(node);
      std::optional<std::string> base;
      for (std::uint32_t slot = dict ? 1 : 0; slot < items.size(); slot += dict ? 2 : 1) {
        if (!graph_.is_tensor(items[slot])) continue;
        if (!base) base = paths_.path(visit);
        const std::string key = dict ? key_text(graph_, items[slot - 1]) : item_text(graph_, node, slot);
        add(join_path(*base, key), items[slot], {visit, slot});
      }
    }
  }

  void add(std::string name, NodeId node, Place place) {
    names_.push_back(std::move(name));
    nodes_.push_back(node);
    places_.push_back(place);
  }

  void need(NodeId node) {
    const std::uint32_t index = graph_.index(node);
    if (checkpoint_.tensors[index].storage == kNoStorage) return;
    if (numbers_.try_emplace(index, tensors_.size()).second) tensors_.push_back(index);
  }

  // Each tensor once, however many names it has.
  void hash_contents(Executor& executor) {
    const TensorViews views(checkpoint_);
    const Checksums checks({&checkpoint_, tensors_}, executor);
    hashes_.resize(tensors_.size());
    executor.run(tensors_.size(), [&](std::size_t i) {
      const auto hash = content_hash(views.view(tensors_[i]));
      if (!hash)
        throw Error(Code::unsupported_tensor,
                    "a tensor repeats its elements beyond all bounds; it has no hash");
      hashes_[i] = *hash;
    });
  }

  NamedHash row_of(std::string name, NodeId node) const {
    NamedHash row;
    row.path = std::move(name);
    const bool composite = graph_.kind(node) == Kind::composite;
    const Tensor& tensor = composite ? values_of(checkpoint_, node) : checkpoint_.tensors[graph_.index(node)];
    row.dtype = info(tensor.dtype).name;
    if (composite) {
      row.layout = composite_name(graph_.composite(node));
      row.shape = shape_of(checkpoint_, node);
      row.hash = composite_hash(checkpoint_, node,
                                [this](std::uint32_t part) { return hashes_[numbers_.at(part)]; });
      return row;
    }
    const auto shape = checkpoint_.shape(tensor);
    row.shape.assign(shape.begin(), shape.end());
    row.has_data = tensor.storage != kNoStorage;
    row.hash = row.has_data ? hashes_[numbers_.at(graph_.index(node))] : no_data_hash(tensor.dtype, shape);
    return row;
  }

  const Checkpoint& checkpoint_;
  const ValueGraph& graph_;
  const Paths paths_;
  std::vector<std::string> names_;
  std::vector<NodeId> nodes_;
  std::vector<Place> places_;
  std::vector<std::uint32_t> tensors_;
  std::unordered_map<std::uint32_t, std::size_t> numbers_;  // of a tensor, in tensors_ and hashes_
  std::vector<std::string> hashes_;
};

}  // namespace

std::size_t FileHash::without_data() const {
  return static_cast<std::size_t>(
      std::count_if(tensors.begin(), tensors.end(), [](const NamedHash& row) { return !row.has_data; }));
}

FileHash hash_file(const std::string& path, const HashOptions& options, Executor& executor) {
  Opened opened = open_for_comparison(path);
  bring_to_layout(opened, options.rules, options.as_stored);
  FileHash file{path, "", "", {}};
  FileHasher(opened.checkpoint, executor).fill(file);
  opened.checkpoint.source->check_unchanged();
  return file;
}

}  // namespace ferry::cli
