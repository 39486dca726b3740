#include "formats/torch/graft.h"

#include "src/core/error.h"
#include "src/core/slice.h"

namespace ferry::torch {
namespace {

constexpr std::uint32_t kNoTensor = 0xffffffff;

// Remarks on the container of a part: the whole makes its own.
bool is_of_container(Code code) {
  return code == Code::no_checksums || code == Code::crc_not_computed || code == Code::nested_checkpoint;
}

// Bytes of a slice are bytes of what it is a slice of.
void point_into_whole(StorageBytes& bytes) {
  while (const auto* slice = dynamic_cast<const SliceSource*>(bytes.source.get())) {
    bytes.offset += slice->begin();
    bytes.source = SourcePtr(slice->whole());
  }
}

}  // namespace

NodeId Grafter::add(const Checkpoint& part) {
  add_storages(part);
  tensors_.assign(part.tensors.size(), kNoTensor);
  copies_.assign(part.values.node_count(), kNoNode);
  const NodeId root = copy(part, part.values.root());
  add_globals(part.globals);
  add_modules(part);
  add_notes(part, root);
  return root;
}

// Copies what is reachable and not copied yet: nodes first, then what they hold, so that cycles close.
NodeId Grafter::copy(const Checkpoint& part, NodeId root) {
  std::vector<NodeId> fresh, stack{root}, children;
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    if (copies_[id] != kNoNode) continue;
    copies_[id] = copy_of(part, id);
    fresh.push_back(id);
    children.clear();
    if (part.values.is_container(id)) part.values.children(id, children);
    stack.insert(stack.end(), children.rbegin(), children.rend());
  }
  for (const NodeId id : fresh) copy_children(part.values, id);
  return copies_[root];
}

// The node without its children.
NodeId Grafter::copy_of(const Checkpoint& part, NodeId id) {
  const ValueGraph& from = part.values;
  ValueGraph& to = whole_.values;
  switch (from.kind(id)) {
    case Kind::none:
      return to.make_none();
    case Kind::boolean:
      return to.make_boolean(from.boolean(id));
    case Kind::integer:
      return to.make_integer(from.integer(id), from.at(id));
    case Kind::text:
    case Kind::byte_string:
    case Kind::bytes:
    case Kind::byte_array:
    case Kind::big_integer:
    case Kind::complex:
    case Kind::device:
    case Kind::layout:
      return to.make_bytes(from.kind(id), as_bytes(from.text(id)), from.at(id));
    case Kind::tensor:
      return to.make_indexed(Kind::tensor, add_tensor(part, from.index(id)), from.at(id));
    case Kind::storage: {
      const std::uint32_t index = first_storage_ + from.index(id);
      return to.make_indexed(Kind::storage, number_ ? number_(index) : index, from.at(id));
    }
    case Kind::global:  // among the attributes of a module, which are as they were pickled
      return to.make_text(from.dotted_name(id), from.at(id));
    case Kind::persistent:
    case Kind::call:
      throw Error(Code::internal, "a value was taken over before it was understood").at(from.at(id));
    default:
      break;
  }
  // Numbers, and containers that are still empty: what marks them comes along.
  Node node = from.node(id);
  if (from.is_container(id)) node.a = node.b = 0;
  const NodeId copy = to.make_container(node.kind, node.aux, node.at);
  to.replace(copy, node);
  return copy;
}

void Grafter::copy_children(const ValueGraph& from, NodeId id) {
  if (!from.is_container(id)) return;
  std::vector<NodeId> items;
  for (const NodeId item : from.items(id)) items.push_back(copies_[item]);
  whole_.values.append(copies_[id], items);
  if (const NodeId attributes = from.attributes(id); attributes != kNoNode)
    whole_.values.set_attributes(copies_[id], copies_[attributes]);
}

void Grafter::add_storages(const Checkpoint& part) {
  if (part.storages.size() >= kNoStorage - whole_.storages.size())
    throw Error(Code::limit_exceeded, "too many storages");
  first_storage_ = static_cast<std::uint32_t>(whole_.storages.size());
  for (Storage storage : part.storages) {
    storage.device = whole_.device_index(part.devices.at(storage.device));
    point_into_whole(storage.bytes);
    whole_.storages.push_back(std::move(storage));
  }
}

std::uint32_t Grafter::add_tensor(const Checkpoint& part, std::uint32_t index) {
  if (tensors_[index] != kNoTensor) return tensors_[index];
  Tensor tensor = part.tensors[index];
  if (tensor.storage != kNoStorage) tensor.storage += first_storage_;
  tensor.dims = whole_.add_dims(part.shape(part.tensors[index]), part.strides(part.tensors[index]));
  whole_.tensors.push_back(tensor);
  return tensors_[index] = static_cast<std::uint32_t>(whole_.tensors.size() - 1);
}

void Grafter::add_globals(const GlobalLog& globals) {
  for (const GlobalUse& use : globals.uses()) {
    GlobalUse& known = whole_.globals[whole_.globals.note(use.module, use.name, use.at)];
    known.called = known.called || use.called;
    known.instantiated = known.instantiated || use.instantiated;
  }
}

// What a person needs to build the modules of a whole object again.
void Grafter::add_modules(const Checkpoint& part) {
  for (ModuleInfo module : part.modules) {
    module.object = copy(part, module.object);
    for (auto& [name, value] : module.attributes) {
      name = copy(part, name);
      value = copy(part, value);
    }
    whole_.modules.push_back(std::move(module));
  }
  for (ClassSource source : part.class_sources) {
    source.text = copy(part, source.text);
    whole_.class_sources.push_back(std::move(source));
  }
}

void Grafter::add_notes(const Checkpoint& part, NodeId root) {
  for (const Note& note : part.notes) {
    if (is_of_container(note.code)) continue;
    const NodeId node = note.node < copies_.size() ? copies_[note.node] : kNoNode;
    whole_.note(node == kNoNode ? root : node, note.code, note.what);
  }
}

}  // namespace ferry::torch
