#include "formats/torch/modules.h"

#include <map>
#include <string>

#include "formats/torch/module_classes.h"

namespace ferry::torch {
namespace {

using python::Call;

constexpr std::size_t kConvolutionParts = 15;

bool is_module_state(const ValueGraph& graph, NodeId state) {
  for (const std::string_view part : {"_parameters", "_buffers", "_modules"})
    if (graph.find(state, part) == kNoNode) return false;
  return true;
}

// The attributes of a module: the state itself, or the first of (attributes, slots).
NodeId find_state(const Call& call) {
  const ValueGraph& graph = call.graph;
  if (!call.instance || call.state == kNoNode) return kNoNode;
  if (is_module_state(graph, call.state)) return call.state;
  const auto parts = graph.items(call.state);
  if (graph.kind(call.state) != Kind::tuple) return kNoNode;
  if (parts.size() == 2 && is_module_state(graph, parts[0])) return parts[0];
  if (parts.size() == kConvolutionParts && is_quantized_convolution(call.class_name())) return call.state;
  return kNoNode;
}

// The tensors of a state_dict; those of packed weights lie in tuples.
std::unordered_set<NodeId> kept_by(const ValueGraph& graph, NodeId state_dict) {
  std::unordered_set<NodeId> kept;
  std::vector<NodeId> stack{state_dict};
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    if (!kept.insert(id).second) continue;
    for (const NodeId item : graph.items(id))
      if (graph.is_tensor(item) || graph.is_container(item)) stack.push_back(item);
  }
  return kept;
}

}  // namespace

bool Modules::take(Call& call) {
  if (call.instance && call.name().ends_with("StateDictHook"))
    table_.hooks.emplace(call.id, call.class_name());
  const NodeId state = find_state(call);
  if (state == kNoNode) return false;
  const auto index = static_cast<std::uint32_t>(table_.modules.size());
  table_.modules.push_back({state, call.class_name()});
  call.become(graph_.make_dict(DictFlavor::ordered, graph_.at(call.id)));
  table_.context.modules.emplace(call.id, index);
  call.note_data("its state_dict");
  return true;
}

void Modules::settle() {
  if (table_.modules.empty()) return;
  table_.node_count = graph_.node_count();
  table_.on_the_way.resize(table_.modules.size());
  std::vector<bool> reached;
  std::vector<NodeId> stack{graph_.root()}, parts;
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    if (id >= reached.size()) reached.resize(graph_.node_count());
    if (reached[id]) continue;
    reached[id] = true;
    if (table_.context.modules.contains(id)) {
      ModuleWalk walk(table_, id);
      walk.run();
      note_losses(walk);
    }
    parts.clear();
    graph_.children(id, parts);
    stack.insert(stack.end(), parts.rbegin(), parts.rend());
  }
}

// Tensors and modules that hang on plain attributes, and buffers that do not persist, are no part of a
// state_dict(): what is lost is said.  Every value is searched once, for the first that leads to it.
void Modules::note_losses(const ModuleWalk& walk) {
  const std::unordered_set<NodeId> kept = kept_by(graph_, walk.object());
  searched_.resize(graph_.node_count());
  std::map<std::string, std::vector<std::string>, std::less<>> lost;  // what → modules
  for (const auto& [path, index] : walk.visited()) {
    const Module& module = table_.modules[index];
    const std::string& owner = path.empty() ? module.class_name : path;
    const auto search = [&](std::string_view kind, const Entry& entry) {
      if (leads_to_weights(walk, entry.value, kept))
        lost[std::string(kind) + std::string(graph_.as_text(entry.key).value_or("?"))].push_back(owner);
    };
    for (const Entry& entry : entries_of(graph_, graph_.find(module.state, "_buffers")))
      search("buffer ", entry);
    for (const Entry& entry : entries_of(graph_, module.state)) {
      const auto name = graph_.as_text(entry.key);
      if (name != "_parameters" && name != "_modules" && name != "_buffers") search("attribute ", entry);
    }
  }
  for (const auto& [what, owners] : lost) {
    const std::size_t more = owners.size() - 1;
    std::string where = owners.front();
    if (more > 0) where += " and " + std::to_string(more) + (more == 1 ? " more module" : " more modules");
    table_.context.checkpoint.note(walk.object(), Code::lost_value,
                                   what + " of " + where + " is no part of state_dict() and is left out");
  }
}

bool Modules::leads_to_weights(const ModuleWalk& walk, NodeId from, const std::unordered_set<NodeId>& kept) {
  bool found = false;
  std::vector<NodeId> stack{from}, parts;
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    if (id >= searched_.size() || searched_[id]) continue;
    searched_[id] = true;
    if (const auto module = table_.context.modules.find(id); module != table_.context.modules.end()) {
      found = found || !walk.holds_module(module->second);
      continue;
    }
    if (graph_.is_tensor(id)) {
      found = found || !kept.contains(id);
      continue;
    }
    parts.clear();
    graph_.children(id, parts);
    stack.insert(stack.end(), parts.rbegin(), parts.rend());
  }
  return found;
}

}  // namespace ferry::torch
