#include "src/convert/state_dict.h"

#include <string>
#include <unordered_map>
#include <vector>

namespace ferry::convert {
namespace {

bool is_plain(Kind kind) { return kind != Kind::dict && kind != Kind::list && kind != Kind::set; }

// The path of a module once the wrappers around it are gone; the wrappers' own paths become ''.
std::string stripped_module(std::string_view module, std::string_view prefix) {
  if (module.starts_with(prefix)) return std::string(module.substr(prefix.size()));
  return prefix.starts_with(std::string(module) + ".") ? std::string() : std::string(module);
}

}  // namespace

bool is_state_dict(const ValueGraph& graph, NodeId dict) {
  if (graph.kind(dict) != Kind::dict) return false;
  bool has_tensor = false;
  const auto pairs = graph.items(dict);
  for (std::size_t i = 0; i + 1 < pairs.size(); i += 2) {
    if (!graph.is_text(pairs[i])) return false;
    const Kind kind = graph.kind(pairs[i + 1]);
    has_tensor = has_tensor || graph.is_tensor(pairs[i + 1]);
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

// Of several entries that get one path, the one that was deepest wins: the model's own version, not the
// wrapper's.
void strip_metadata(ValueGraph& graph, NodeId metadata, std::string_view prefix) {
  std::unordered_map<std::string, std::size_t> places;  // of values in pairs
  std::vector<std::size_t> depths;
  std::vector<NodeId> pairs;
  for (std::size_t i = 0; i < graph.entry_count(metadata); ++i) {
    const auto [key, value] = graph.entry(metadata, i);
    if (!graph.is_text(key)) {  // nothing that torch writes
      pairs.insert(pairs.end(), {key, value});
      depths.push_back(0);
      continue;
    }
    const std::size_t depth = graph.text(key).size();
    const std::string module = stripped_module(graph.text(key), prefix);
    const auto [place, fresh] = places.try_emplace(module, depths.size());
    if (fresh) {
      pairs.insert(pairs.end(), {graph.make_text(module, graph.at(key)), value});
      depths.push_back(depth);
    } else if (depth > depths[place->second]) {
      pairs[2 * place->second + 1] = value;
      depths[place->second] = depth;
    }
  }
  graph.set_items(metadata, pairs);
}

}  // namespace ferry::convert
