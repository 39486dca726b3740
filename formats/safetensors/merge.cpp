#include "formats/safetensors/merge.h"

#include <algorithm>

#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::safetensors {
namespace {

[[noreturn]] void fail_not_flat(const std::string& what) {
  throw Error(Code::unsupported_value, what + "; a shard must be a dict of tensors");
}

}  // namespace

std::vector<Merger::Item> Merger::add(Checkpoint part, const std::string& label) {
  try {
    add_storages(part);
    std::vector<Item> items = add_values(part);
    add_globals(part.globals);
    add_notes(part);
    const bool checksums = part.container.checksums && (parts_ == 0 || merged_.container.checksums);
    if (parts_++ == 0) merged_.container = std::move(part.container);
    merged_.container.checksums = checksums;
    return items;
  } catch (Error& error) {
    error.in("in shard " + quote(label));
    throw;
  }
}

void Merger::add_storages(Checkpoint& part) {
  if (part.storages.size() >= kNoStorage - merged_.storages.size())
    throw Error(Code::limit_exceeded, "too many storages");
  first_storage_ = static_cast<std::uint32_t>(merged_.storages.size());
  for (Storage& storage : part.storages) {
    storage.device = merged_.device_index(part.devices.at(storage.device));
    merged_.storages.push_back(std::move(storage));
  }
}

std::vector<Merger::Item> Merger::add_values(const Checkpoint& part) {
  const ValueGraph& graph = part.values;
  const NodeId root = graph.root();
  if (graph.kind(root) != Kind::dict) fail_not_flat("the root is no dict");
  if (graph.attributes(root) != kNoNode)
    whole_.push_back({root, Code::attributes_dropped, "Python attributes of shards are left out"});
  nodes_.assign(part.tensors.size(), kNoNode);
  std::vector<Item> items;
  items.reserve(graph.entry_count(root));
  for (std::size_t i = 0; i < graph.entry_count(root); ++i) {
    const auto [key, value] = graph.entry(root, i);
    if (!graph.is_text(key)) fail_not_flat("a key is no text");
    const std::string name(graph.text(key));
    if (graph.kind(value) != Kind::tensor) fail_not_flat("the value of " + quote(name) + " is no tensor");
    NodeId& node = nodes_[graph.index(value)];
    if (node == kNoNode) node = add_tensor(part, part.tensors[graph.index(value)]);
    items.push_back({name, node});
  }
  return items;
}

NodeId Merger::add_tensor(const Checkpoint& part, const Tensor& tensor) {
  Tensor copy = tensor;
  if (copy.storage != kNoStorage) copy.storage += first_storage_;
  copy.dims = merged_.add_dims(part.shape(tensor), part.strides(tensor));
  merged_.tensors.push_back(copy);
  return merged_.values.make_indexed(Kind::tensor, static_cast<std::uint32_t>(merged_.tensors.size() - 1));
}

void Merger::add_globals(const GlobalLog& globals) {
  for (const GlobalUse& use : globals.uses()) {
    GlobalUse& merged = merged_.globals[merged_.globals.note(use.module, use.name, use.at)];
    merged.called = merged.called || use.called;
    merged.instantiated = merged.instantiated || use.instantiated;
  }
}

// Notes about a tensor follow it; the others become notes about the whole, each once.
void Merger::add_notes(const Checkpoint& part) {
  for (const Note& note : part.notes) {
    const bool of_tensor = part.values.kind(note.node) == Kind::tensor;
    const NodeId node = of_tensor ? nodes_[part.values.index(note.node)] : kNoNode;
    if (node != kNoNode)
      merged_.note(node, note.code, note.what);
    else
      whole_.push_back(note);
  }
}

Checkpoint Merger::finish(SourcePtr source, const std::vector<NodeId>& items) {
  merged_.source = std::move(source);
  merged_.container.records.clear();  // they were those of the first part
  merged_.container.format = "sharded " + (parts_ > 0 ? merged_.container.format : std::string("checkpoint"));
  const NodeId root = merged_.values.make_dict(DictFlavor::plain);
  merged_.values.set_items(root, items);
  merged_.values.set_root(root);
  for (std::size_t i = 0; i < whole_.size(); ++i) {
    const auto same = [&](const Note& other) {
      return other.code == whole_[i].code && other.what == whole_[i].what;
    };
    const auto before = whole_.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::none_of(whole_.begin(), before, same)) merged_.note(root, whole_[i].code, whole_[i].what);
  }
  return std::move(merged_);
}

}  // namespace ferry::safetensors
