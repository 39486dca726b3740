// Whole objects of torch's classes: modules, optimizers, GradScalers, schedulers.  None of the classes is
// needed: what state_dict() would give is in the attributes that were pickled.
//
// Source: torch/nn/modules/module.py (_save_to_state_dict), torch/optim/optimizer.py (state_dict,
// __getstate__), torch/amp/grad_scaler.py (state_dict, __getstate__), torch/optim/lr_scheduler.py
// (state_dict), 0.1.12 … 2.13.
#include <algorithm>
#include <unordered_map>

#include "formats/torch/rebuild.h"
#include "src/core/error.h"

namespace ferry::torch {
namespace {

using python::Call;

bool has(const Call& call, std::string_view key) {
  return call.state != kNoNode && call.graph.find(call.state, key) != kNoNode;
}

NodeId copy_of(ValueGraph& graph, NodeId dict) {
  const NodeId copy = graph.make_dict(graph.flavor(dict));
  graph.append(copy, graph.items(dict));
  return copy;
}

class ModuleState {
 public:
  explicit ModuleState(Call& call)
      : call_(call),
        graph_(call.graph),
        dict_(call.graph.make_dict(DictFlavor::ordered, call.graph.at(call.id))) {}

  NodeId gather() {
    const NodeId transient = graph_.find(call_.state, "_non_persistent_buffers_set");
    add_tensors("_parameters", kNoNode);
    add_tensors("_buffers", transient);
    for (const Entry& child : entries("_modules")) add_child(child);
    return dict_;
  }

 private:
  std::vector<Entry> entries(std::string_view name) const {
    const NodeId dict = graph_.find(call_.state, name);
    if (dict == kNoNode || graph_.kind(dict) != Kind::dict)
      call_.fail("is a module without " + std::string(name));
    std::vector<Entry> all;
    for (std::size_t i = 0; i < graph_.entry_count(dict); ++i) all.push_back(graph_.entry(dict, i));
    return all;
  }

  void add_tensors(std::string_view name, NodeId transient) {
    for (const auto& [key, value] : entries(name)) {
      if (graph_.kind(value) == Kind::none) continue;
      if (graph_.kind(value) != Kind::tensor)
        call_.fail("has something in " + std::string(name) + " that is no tensor");
      const auto text = graph_.as_text(key);
      const auto skipped = transient == kNoNode ? std::span<const NodeId>() : graph_.items(transient);
      if (text && std::any_of(skipped.begin(), skipped.end(),
                              [&](NodeId item) { return graph_.as_text(item) == text; }))
        continue;
      const NodeId pair[2] = {key, value};
      graph_.append(dict_, pair);
    }
  }

  void add_child(const Entry& child) {
    if (graph_.kind(child.value) == Kind::none) return;
    const auto name = graph_.as_text(child.key);
    if (!name || graph_.kind(child.value) != Kind::dict) call_.fail("has a child that is no module");
    const std::string prefix = std::string(*name) + ".";
    for (std::size_t i = 0; i < graph_.entry_count(child.value); ++i) {
      const Entry entry = graph_.entry(child.value, i);
      const NodeId pair[2] = {graph_.make_text(prefix + std::string(graph_.as_text(entry.key).value_or("?"))),
                              entry.value};
      graph_.append(dict_, pair);
    }
  }

  Call& call_;
  ValueGraph& graph_;
  NodeId dict_;
};

// {defaults, state: {Parameter: {…}}, param_groups: [{params: [Parameter …], …}]} with parameters as indices.
NodeId optimizer_state(Call& call) {
  ValueGraph& graph = call.graph;
  std::unordered_map<NodeId, NodeId> index;
  const NodeId groups = graph.make_list({});
  const NodeId old_groups = graph.find(call.state, "param_groups");
  for (std::size_t g = 0; g < graph.items(old_groups).size(); ++g) {
    const NodeId old_group = graph.items(old_groups)[g];
    const NodeId params = graph.find(old_group, "params");
    if (params == kNoNode) call.fail("has a group without parameters");
    const auto items = graph.items(params);
    std::vector<NodeId> numbers;
    for (const NodeId param : std::vector<NodeId>(items.begin(), items.end()))
      numbers.push_back(index.try_emplace(param, graph.make_integer(static_cast<std::int64_t>(index.size())))
                            .first->second);
    const NodeId group = copy_of(graph, old_group);
    graph.set_entry(group, "params", graph.make_list(numbers));
    graph.append(groups, {&group, 1});
  }
  const NodeId old_state = graph.find(call.state, "state"), state = graph.make_dict(DictFlavor::plain);
  for (std::size_t i = 0; i < graph.entry_count(old_state); ++i) {
    const Entry entry = graph.entry(old_state, i);
    const auto number = index.find(entry.key);
    const NodeId pair[2] = {number == index.end() ? entry.key : number->second, entry.value};
    graph.append(state, pair);
  }
  const NodeId dict = graph.make_dict(DictFlavor::plain, graph.at(call.id));
  graph.set_entry(dict, "state", state);
  graph.set_entry(dict, "param_groups", groups);
  return dict;
}

// The state_dict of a GradScaler from its attributes; None when it was disabled.
NodeId scaler_state(Call& call) {
  ValueGraph& graph = call.graph;
  const NodeId enabled = graph.find(call.state, "_enabled");
  if (enabled != kNoNode && graph.kind(enabled) == Kind::boolean && !graph.boolean(enabled))
    return graph.make_none();
  static constexpr std::pair<std::string_view, std::string_view> kFields[] = {
      {"scale", "_init_scale"},
      {"growth_factor", "_growth_factor"},
      {"backoff_factor", "_backoff_factor"},
      {"growth_interval", "_growth_interval"},
      {"_growth_tracker", "_init_growth_tracker"}};
  const NodeId dict = graph.make_dict(DictFlavor::plain, graph.at(call.id));
  for (const auto& [key, attribute] : kFields) {
    const NodeId value = graph.find(call.state, attribute);
    if (value == kNoNode) call.fail("is a GradScaler without " + std::string(attribute));
    graph.set_entry(dict, key, value);
  }
  return dict;
}

// A scheduler's state_dict: all its attributes but the optimizer.
NodeId scheduler_state(Call& call) {
  ValueGraph& graph = call.graph;
  const NodeId dict = graph.make_dict(DictFlavor::plain, graph.at(call.id));
  for (std::size_t i = 0; i < graph.entry_count(call.state); ++i) {
    const Entry entry = graph.entry(call.state, i);
    const NodeId pair[2] = {entry.key, entry.value};
    if (graph.as_text(entry.key) != "optimizer") graph.append(dict, pair);
  }
  return dict;
}

}  // namespace

bool interpret_object(Call& call) {
  if (!call.instance || call.state == kNoNode || call.graph.kind(call.state) != Kind::dict) return false;
  const Role role = call.known ? call.known->role : Role::object_type;
  if (has(call, "_parameters") && has(call, "_buffers") && has(call, "_modules")) {
    call.become(ModuleState(call).gather());
    call.note_data("its state_dict");
    return true;
  }
  if (has(call, "param_groups") && has(call, "state") &&
      call.graph.kind(call.graph.find(call.state, "state")) == Kind::dict) {
    call.become(optimizer_state(call));
    call.note(Code::scaler_from_object, call.class_name() + " → its state_dict");
    return true;
  }
  if (role == Role::scaler_class) {
    call.become(scaler_state(call));
    call.note(Code::scaler_from_object, call.class_name() + " → its state_dict");
    return true;
  }
  if (role == Role::scheduler_class) {
    call.become(scheduler_state(call));
    call.note(Code::scaler_from_object, call.class_name() + " → its state_dict");
    return true;
  }
  return false;
}

}  // namespace ferry::torch
