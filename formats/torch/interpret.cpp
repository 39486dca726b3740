#include "formats/torch/interpret.h"

#include "formats/python/interpret.h"
#include "formats/torch/modules.h"
#include "formats/torch/nested.h"
#include "formats/torch/objects.h"
#include "formats/torch/rebuild.h"
#include "src/core/error.h"

namespace ferry::torch {
namespace {

// A key is hashed when the dict is built: a tensor as key would be lost by every reader.
void refuse_tensor_keys(const ValueGraph& graph, std::span<const NodeId> nodes) {
  for (const NodeId id : nodes) {
    const Kind kind = graph.kind(id);
    if (kind != Kind::dict && kind != Kind::set) continue;
    const auto items = graph.items(id);
    for (std::size_t i = 0; i < items.size(); i += kind == Kind::dict ? 2 : 1)
      if (graph.is_tensor(items[i]) || graph.kind(items[i]) == Kind::storage)
        throw Error(Code::unsupported_value, "a tensor is used as a key").at(graph.at(id));
  }
}

}  // namespace

void interpret(Checkpoint& checkpoint, StorageTable& table, const Limits& limits,
               const python::Origin& origin, const std::function<bool(python::Call&)>& first) {
  Rebuilder rebuilder(checkpoint, table, limits);
  NestedLoader nested(checkpoint, table, limits);
  python::Context context{checkpoint, limits, {}, {}, {}, {}, origin};
  Modules modules(context);
  python::interpret_calls(context, [&](python::Call& call) {
    return (first && first(call)) || nested.interpret(call) || interpret_typed_container(call) ||
           rebuilder.interpret(call) || modules.take(call) || interpret_object(call);
  });
  nested.describe();
  modules.settle();
  const std::vector<NodeId> nodes = checkpoint.values.reachable();
  python::settle_names_and_strings(context, nodes);
  table.settle_bare_storages(nodes);
  refuse_tensor_keys(checkpoint.values, nodes);
  check_keys(checkpoint.values, Repeats::refuse, nodes);
  check_depth(checkpoint.values, limits.depth_max);
}

}  // namespace ferry::torch
