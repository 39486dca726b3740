#include "src/convert/state_dict.h"

namespace ferry::convert {
namespace {

bool is_plain(Kind kind) { return kind != Kind::dict && kind != Kind::list && kind != Kind::set; }

}  // namespace

bool is_state_dict(const ValueGraph& graph, NodeId dict) {
  if (graph.kind(dict) != Kind::dict) return false;
  bool has_tensor = false;
  const auto pairs = graph.items(dict);
  for (std::size_t i = 0; i + 1 < pairs.size(); i += 2) {
    if (!graph.is_text(pairs[i])) return false;
    const Kind kind = graph.kind(pairs[i + 1]);
    has_tensor = has_tensor || kind == Kind::tensor;
    if (!is_plain(kind) && !graph.text(pairs[i]).ends_with("_extra_state")) return false;
  }
  return has_tensor;
}

NodeId metadata_of(const ValueGraph& graph, NodeId state_dict) {
  const NodeId attributes = graph.attributes(state_dict);
  if (attributes == kNoNode) return kNoNode;
  const NodeId metadata = graph.find(attributes, "_metadata");
  return metadata != kNoNode && graph.kind(metadata) == Kind::dict ? metadata : kNoNode;
}

}  // namespace ferry::convert
