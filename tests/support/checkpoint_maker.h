// Checkpoints built by hand in memory, for tests of rules.
#pragma once

#include <array>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "src/convert/rule.h"
#include "src/core/error.h"
#include "src/core/paths.h"

namespace ferry::convert::test {

// A checkpoint that is put together like Python literals.
struct Maker {
  Checkpoint checkpoint;
  ValueGraph& graph = checkpoint.values;
  ChangeLog log;

  NodeId text(std::string_view value) { return graph.make_text(value); }
  NodeId number(std::int64_t value) { return graph.make_integer(value); }
  NodeId real(double value) { return graph.make_real(value); }

  NodeId dict(std::vector<std::pair<std::string, NodeId>> entries, DictFlavor flavor = DictFlavor::plain) {
    const NodeId id = graph.make_dict(flavor);
    std::vector<NodeId> pairs;
    for (const auto& [key, value] : entries) pairs.insert(pairs.end(), {text(key), value});
    graph.append(id, pairs);
    return id;
  }

  NodeId numbered(std::vector<std::pair<std::int64_t, NodeId>> entries) {
    const NodeId id = graph.make_dict(DictFlavor::plain);
    for (const auto& [key, value] : entries) graph.append(id, std::array{number(key), value});
    return id;
  }

  NodeId list(std::vector<NodeId> items) { return graph.make_list(items); }

  NodeId numbers(std::vector<std::int64_t> values) {
    std::vector<NodeId> items;
    for (const auto value : values) items.push_back(number(value));
    return list(items);
  }

  std::uint32_t storage(DType dtype, std::int64_t numel, bool untyped = false,
                        std::string_view device = "cpu") {
    Storage made;
    made.dtype = dtype;
    made.untyped = untyped;
    made.numel = numel;
    made.device = checkpoint.device_index(device);
    made.bytes.size = made.bytes.stored_size =
        static_cast<std::uint64_t>(numel) * (untyped ? 1u : info(dtype).itemsize);
    checkpoint.storages.push_back(made);
    return static_cast<std::uint32_t>(checkpoint.storages.size() - 1);
  }

  NodeId view(std::uint32_t storage, DType dtype, std::vector<std::int64_t> shape,
              std::vector<std::int64_t> strides, std::int64_t offset) {
    Tensor made;
    made.storage = storage;
    made.dtype = dtype;
    made.rank = static_cast<std::uint16_t>(shape.size());
    made.dims = checkpoint.add_dims(shape, strides);
    made.offset = offset;
    checkpoint.tensors.push_back(made);
    return graph.make_indexed(Kind::tensor, static_cast<std::uint32_t>(checkpoint.tensors.size() - 1));
  }

  NodeId tensor(std::int64_t numel = 3) {
    return view(storage(DType::float32, numel), DType::float32, {numel}, {1}, 0);
  }

  const Tensor& tensor_of(NodeId id) const { return checkpoint.tensors[graph.index(id)]; }

  // A state_dict with tensors and torch's _metadata.
  NodeId state_dict(std::vector<std::string> keys,
                    std::vector<std::pair<std::string, NodeId>> metadata = {}) {
    std::vector<std::pair<std::string, NodeId>> entries;
    for (const auto& key : keys) entries.emplace_back(key, tensor());
    const NodeId id = dict(entries, DictFlavor::ordered);
    if (!metadata.empty())
      graph.set_attributes(id, dict({{"_metadata", dict(metadata, DictFlavor::ordered)}}));
    return id;
  }

  NodeId metadata(NodeId id) const { return graph.find(graph.attributes(id), "_metadata"); }

  void convert(NodeId root, RuleOptions options = {}) {
    graph.set_root(root);
    log = ChangeLog();
    apply_rules(checkpoint, options, log);
  }

  std::vector<std::string> keys(NodeId id) const {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < graph.entry_count(id); ++i)
      all.push_back(key_text(graph, graph.entry(id, i).key));
    return all;
  }

  std::vector<std::string> items(NodeId id) const {
    std::vector<std::string> all;
    for (const NodeId item : graph.items(id)) all.push_back(key_text(graph, item));
    return all;
  }

  // What lies under text keys, one after the other.
  NodeId at(std::vector<std::string_view> path) const {
    NodeId id = graph.root();
    for (const auto key : path) {
      NodeId next = graph.find(id, key);
      if (graph.kind(id) == Kind::list) next = graph.items(id)[static_cast<std::size_t>(key[0] - '0')];
      for (std::size_t i = 0; next == kNoNode && i < graph.entry_count(id); ++i)
        if (key_text(graph, graph.entry(id, i).key) == key) next = graph.entry(id, i).value;
      if (next == kNoNode) return kNoNode;
      id = next;
    }
    return id;
  }

  // Of a 0-dim float32 tensor.
  float value(NodeId id) const {
    const Storage& from = checkpoint.storages[tensor_of(id).storage];
    const auto bytes = from.bytes.source->read({from.bytes.offset, 4});
    float result = 0;
    std::memcpy(&result, bytes.data(), 4);
    return result;
  }

  std::size_t count(Code code) const {
    std::size_t n = 0;
    for (const Change& change : log.changes()) n += change.code == code ? 1 : 0;
    return n;
  }

  Change change(Code code) const {
    for (const Change& change : log.changes())
      if (change.code == code) return change;
    return {code, "no such change", ""};
  }
};

inline Code code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  return Code{};
}

}  // namespace ferry::convert::test
