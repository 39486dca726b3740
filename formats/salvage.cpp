#include "formats/salvage.h"

#include <vector>

#include "formats/formats.h"
#include "formats/torch/losses.h"
#include "src/core/paths.h"
#include "src/core/text.h"

namespace ferry {
namespace {

const std::string kPartOfLost = "the storage that it is a part of is not whole";

// What can go on without one of its items: not a tensor that is made of others.
bool can_lack(const ValueGraph& graph, NodeId id) {
  return graph.is_container(id) && graph.kind(id) != Kind::composite;
}

std::string describe(const Checkpoint& checkpoint, const Tensor& tensor) {
  std::string text(info(tensor.dtype).name);
  text += " [";
  const auto shape = checkpoint.shape(tensor);
  for (std::size_t i = 0; i < shape.size() && i < 8; ++i)
    text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + (shape.size() > 8 ? ", …]" : "]");
}

// Finds what is lost, and leaves it out.
class Pruning {
 public:
  Pruning(Salvage& salvage, const torch::Losses& losses)
      : out_(salvage),
        graph_(salvage.checkpoint.values),
        losses_(losses),
        lost_(graph_.node_count(), nullptr),
        counted_(graph_.node_count()) {}

  void run() {
    mark();
    if (lost_[graph_.root()] != nullptr)
      throw Error(Code::truncated, "nothing can be salvaged: " + *lost_[graph_.root()]);
    if (graph_.kind(graph_.root()) == Kind::tensor) {
      out_.tensors = 1;
      out_.whole.emplace_back();
    }
    const Paths paths(graph_, Reach::containers);
    for (std::size_t i = 0; i < paths.visits().size(); ++i) log(paths, i);
    // Paths are read from the graph, so it changes only now.
    for (const Paths::Visit& visit : paths.visits()) leave_out(visit.node);
    // Nothing refers to lost storages any more; nobody shall stumble over them.
    for (Storage& storage : out_.checkpoint.storages)
      if (storage.bytes.source == nullptr) storage.bytes.source = out_.checkpoint.source;
    if (out_.tensors == 0 && out_.lost > 0)
      throw Error(Code::truncated,
                  "nothing can be salvaged: none of its " + grouped(out_.lost) + " tensors is whole");
  }

 private:
  // Why a node is lost: its storage is, or one of its parts where it is no container.
  void mark() {
    const std::vector<NodeId> nodes = graph_.reachable();
    for (const NodeId id : nodes) {
      const std::uint32_t storage = storage_of(id);
      if (storage == kNoStorage || out_.checkpoint.storages[storage].bytes.source != nullptr) continue;
      const auto why = losses_.storages.find(storage);
      lost_[id] = why == losses_.storages.end() ? &kPartOfLost : &why->second;
    }
    std::vector<NodeId> parts;
    for (std::size_t i = nodes.size(); i-- > 0;) {
      if (can_lack(graph_, nodes[i])) continue;
      parts.clear();
      graph_.children(nodes[i], parts);
      for (const NodeId part : parts)
        if (lost_[nodes[i]] == nullptr) lost_[nodes[i]] = lost_[part];
    }
  }

  std::uint32_t storage_of(NodeId id) const {
    const Checkpoint& checkpoint = out_.checkpoint;
    if (graph_.kind(id) == Kind::tensor) return checkpoint.tensors[graph_.index(id)].storage;
    return graph_.kind(id) == Kind::storage ? graph_.index(id) : kNoStorage;
  }

  void log(const Paths& paths, std::size_t visit) {
    const NodeId node = paths.visits()[visit].node;
    const bool dict = graph_.kind(node) == Kind::dict;
    const auto items = graph_.items(node);
    for (std::size_t i = 0; i < items.size(); ++i) {
      const Kind kind = graph_.kind(items[i]);
      const bool tensor = kind == Kind::tensor, lost = lost_[items[i]] != nullptr;
      if (!tensor && kind != Kind::storage && !lost) continue;
      if (!counted_[items[i]]) (lost ? out_.lost : out_.tensors) += 1;
      counted_[items[i]] = true;
      const std::string key = dict ? key_text(graph_, items[i - i % 2]) : std::to_string(i);
      std::string path = join_path(paths.path(visit), key);
      if (!lost) {
        out_.whole.push_back(std::move(path));
        continue;
      }
      const std::string what =
          tensor ? describe(out_.checkpoint, out_.checkpoint.tensors[graph_.index(items[i])]) + ": " : "";
      out_.losses.add(tensor ? Code::tensor_lost : Code::value_lost, std::move(path),
                      what + *lost_[items[i]]);
    }
  }

  void leave_out(NodeId node) {
    const auto items = graph_.items(node);
    const Kind kind = graph_.kind(node);
    const std::size_t step = kind == Kind::dict ? 2 : 1;
    std::vector<NodeId> kept;
    bool changed = false;
    for (std::size_t i = 0; i < items.size(); i += step) {
      const bool lost = lost_[items[i + step - 1]] != nullptr;
      changed = changed || lost;
      if (lost && (kind == Kind::list || kind == Kind::tuple)) kept.push_back(graph_.make_none());
      if (!lost)
        kept.insert(kept.end(), items.begin() + static_cast<std::ptrdiff_t>(i),
                    items.begin() + static_cast<std::ptrdiff_t>(i + step));
    }
    if (changed) graph_.set_items(node, kept);
  }

  Salvage& out_;
  ValueGraph& graph_;
  const torch::Losses& losses_;
  std::vector<const std::string*> lost_;  // by node: why, or nullptr
  std::vector<bool> counted_;             // what has been met
};

// The format that the file begins like, where it has a reader for damaged files.
const Format* find_salvager(const ByteSource& source) {
  for (const Format& format : formats())
    if (format.probe(source).matches) return format.salvage != nullptr ? &format : nullptr;
  return nullptr;
}

}  // namespace

Salvage salvage_checkpoint(SourcePtr source, const Limits& limits) {
  const std::string name = source->name();
  Salvage salvage;
  const Format* format = find_salvager(*source);
  if (format == nullptr) {
    salvage.checkpoint = open_checkpoint(std::move(source), limits);
    return salvage;
  }
  try {
    torch::Losses losses;
    salvage.checkpoint = format->salvage(std::move(source), limits, losses);
    Pruning(salvage, losses).run();
    salvage.checkpoint.forget_unreachable();
    salvage.story = losses.story;
    return salvage;
  } catch (Error& error) {
    error.of(name);
    throw;
  }
}

void explain_damage(const SourcePtr& source, const Limits& limits, Error& error) {
  if (error.fault() != Fault::corrupt || error.code() == Code::not_a_checkpoint ||
      error.code() == Code::unknown_format || find_salvager(*source) == nullptr)
    return;
  std::string hint = error.hint().empty() ? "" : error.hint() + "; ";
  try {
    const Salvage salvage = salvage_checkpoint(source, limits);
    if (!salvage.story.empty()) error.in("(" + salvage.story + ")");
    const std::uint64_t all = salvage.tensors + salvage.lost;
    hint += grouped(salvage.tensors) + " of " + grouped(all) + (all == 1 ? " tensor is" : " tensors are") +
            " whole: torchferry convert --salvage writes " + (salvage.tensors == 1 ? "it" : "them");
  } catch (const Error& other) {
    if (other.fault() == Fault::refused) throw;
    const bool pickle = other.code() == Code::bad_pickle || other.code() == Code::truncated;
    if (other.summary() == error.summary() && !pickle) return;
    hint += "--salvage cannot help: " +
            (other.summary() == error.summary()
                 ? std::string("the pickle, which says what the numbers are, is damaged")
                 : other.summary());
  }
  error.with_hint(std::move(hint));
}

}  // namespace ferry
