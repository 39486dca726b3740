#include <set>
#include <string>
#include <string_view>

#include "src/convert/rules/apply.h"

namespace ferry::convert {
namespace {

// What weights_only of 2.0.1 and 2.1.2 refuses and that of 2.13 takes, found by loading one file of each kind
// with them.
std::string_view newer_kind(const Checkpoint& checkpoint, NodeId id) {
  const ValueGraph& graph = checkpoint.values;
  switch (graph.kind(id)) {
    case Kind::set:
      return "set";
    case Kind::bytes:
      return "bytes";
    case Kind::byte_array:
      return "bytearray";
    case Kind::complex:
      return "complex number";
    case Kind::device:
      return "torch.device";
    case Kind::dict:
      return graph.flavor(id) == DictFlavor::counter ? "Counter" : "";
    case Kind::tensor: {
      const Tensor& tensor = checkpoint.tensors[graph.index(id)];
      const bool untyped = tensor.storage != kNoStorage && checkpoint.storages[tensor.storage].untyped;
      return untyped ? info(tensor.dtype).name : "";
    }
    case Kind::composite: {
      const Composite form = graph.composite(id);
      if (form == Composite::sparse_coo)
        return graph.items(id).size() == 4 ? "sparse tensor that says whether it is coalesced" : "";
      return form == Composite::nested ? "nested tensor" : "";
    }
    default:
      return "";
  }
}

}  // namespace

void remark_newer_values(Checkpoint& checkpoint, const RuleOptions&, ChangeLog& log) {
  std::set<std::string_view> kinds;  // sorted: the report must not depend on the order of the values
  const ValueGraph& graph = checkpoint.values;
  for (const NodeId id : graph.reachable()) {
    const std::string_view kind = newer_kind(checkpoint, id);
    if (!kind.empty()) kinds.insert(kind);
  }
  if (kinds.empty()) return;
  std::string names;
  for (const std::string_view kind : kinds) names += (names.empty() ? "" : ", ") + std::string(kind);
  log.add(Code::needs_newer, "",
          "weights_only of PyTorch 2.0 and 2.1 does not know " + names + "; later releases do");
}

}  // namespace ferry::convert
