#include "src/convert/dicts.h"

#include <algorithm>
#include <unordered_set>

#include "src/convert/optimizer.h"
#include "src/convert/state_dict.h"
#include "src/core/paths.h"

namespace ferry::convert {
namespace {

// The one of `keys` that the node is; empty for others.
std::string_view wanted(const ValueGraph& graph, NodeId node, std::span<const std::string_view> keys) {
  if (!graph.is_text(node)) return {};
  const std::string_view text = graph.text(node);
  const auto found = std::find(keys.begin(), keys.end(), text);
  return found == keys.end() ? std::string_view() : *found;
}

bool any_dict_has(const ValueGraph& graph, std::span<const std::string_view> keys) {
  for (NodeId id = 0; id < graph.node_count(); ++id) {
    if (graph.kind(id) != Kind::dict) continue;
    const auto pairs = graph.items(id);
    for (std::size_t i = 0; i < pairs.size(); i += 2)
      if (!wanted(graph, pairs[i], keys).empty()) return true;
  }
  return false;
}

Place place_of(const Paths& paths, std::size_t visit, NodeId value, std::string_view key) {
  const Paths::Visit& at = paths.visits()[visit];
  return {at.node, value, paths.path(visit), visit == 0 ? kNoNode : paths.visits()[at.parent].node, key};
}

}  // namespace

std::vector<Place> find_dicts(const ValueGraph& graph, std::span<const std::string_view> keys) {
  std::vector<Place> places;
  if (!any_dict_has(graph, keys)) return places;
  const Paths paths(graph, Reach::containers);
  for (std::size_t i = 0; i < paths.visits().size(); ++i) {
    const NodeId dict = paths.visits()[i].node;
    if (graph.kind(dict) != Kind::dict) continue;
    for (std::size_t k = 0; k < graph.entry_count(dict); ++k) {
      const auto [key, value] = graph.entry(dict, k);
      if (const std::string_view name = wanted(graph, key, keys); !name.empty())
        places.push_back(place_of(paths, i, value, name));
    }
  }
  return places;
}

std::vector<Place> find_state_dicts(const ValueGraph& graph) {
  std::unordered_set<NodeId> entries;
  for (const Optimizer& optimizer : find_optimizers(graph))
    for (std::size_t i = 0; i < graph.entry_count(optimizer.state); ++i)
      entries.insert(graph.entry(optimizer.state, i).value);
  std::vector<Place> places;
  const Paths paths(graph, Reach::containers);
  for (std::size_t i = 0; i < paths.visits().size(); ++i)
    if (const NodeId dict = paths.visits()[i].node; !entries.contains(dict) && is_state_dict(graph, dict))
      places.push_back(place_of(paths, i, dict, {}));
  return places;
}

void remove_entries(ValueGraph& graph, NodeId dict, std::span<const std::string_view> keys) {
  std::vector<NodeId> pairs;
  for (std::size_t i = 0; i < graph.entry_count(dict); ++i) {
    const auto [key, value] = graph.entry(dict, i);
    const bool goes =
        std::any_of(keys.begin(), keys.end(), [&](auto name) { return graph.is_text(key, name); });
    if (!goes) pairs.insert(pairs.end(), {key, value});
  }
  graph.set_items(dict, pairs);
}

void insert_behind(ValueGraph& graph, NodeId dict, std::string_view key,
                   std::span<const std::pair<std::string, NodeId>> entries) {
  std::vector<NodeId> added;
  for (const auto& [name, value] : entries) added.insert(added.end(), {graph.make_text(name), value});
  std::vector<NodeId> pairs;
  bool placed = false;
  for (std::size_t i = 0; i < graph.entry_count(dict); ++i) {
    const auto [there, value] = graph.entry(dict, i);
    pairs.insert(pairs.end(), {there, value});
    if (placed || !graph.is_text(there, key)) continue;
    pairs.insert(pairs.end(), added.begin(), added.end());
    placed = true;
  }
  if (!placed) pairs.insert(pairs.end(), added.begin(), added.end());
  graph.set_items(dict, pairs);
}

bool is_list_of_tensors(const ValueGraph& graph, NodeId node) {
  if (graph.kind(node) != Kind::list && graph.kind(node) != Kind::tuple) return false;
  const auto items = graph.items(node);
  return !items.empty() && std::all_of(items.begin(), items.end(),
                                       [&](NodeId item) { return graph.kind(item) == Kind::tensor; });
}

}  // namespace ferry::convert
