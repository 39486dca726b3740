#include "formats/torch/objects.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "src/core/error.h"

namespace ferry::torch {
namespace {

using python::Call;

bool has(const Call& call, std::string_view key) { return call.graph.find(call.state, key) != kNoNode; }

bool has_kind(const Call& call, std::string_view key, Kind kind) {
  const NodeId value = call.graph.find(call.state, key);
  return value != kNoNode && call.graph.kind(value) == kind;
}

void set_at_end(ValueGraph& graph, NodeId dict, std::string_view key, NodeId value) {
  const NodeId pair[2] = {graph.make_text(key), value};
  graph.append(dict, pair);
}

// The entries of a dict without those of some keys.
NodeId copy_without(ValueGraph& graph, NodeId dict, std::span<const std::string_view> keys) {
  const NodeId copy = graph.make_dict(graph.flavor(dict), graph.at(dict));
  for (std::size_t i = 0; i < graph.entry_count(dict); ++i) {
    const Entry entry = graph.entry(dict, i);
    const auto key = graph.as_text(entry.key);
    const NodeId pair[2] = {entry.key, entry.value};
    if (!key || std::find(keys.begin(), keys.end(), *key) == keys.end()) graph.append(copy, pair);
  }
  return copy;
}

// {state: {Parameter: {…}}, param_groups: [{params: [Parameter …], …}]}, with positions for parameters.
// Source: torch/optim/optimizer.py, state_dict and __getstate__.  Until 1.5 the keys were ids of objects that
// are gone; the positions say the same.
class OptimizerState {
 public:
  explicit OptimizerState(Call& call) : call_(call), graph_(call.graph) {}

  NodeId make() {
    const NodeId groups = make_groups();
    const NodeId dict = graph_.make_dict(DictFlavor::plain, graph_.at(call_.id));
    set_at_end(graph_, dict, "state", make_state());
    set_at_end(graph_, dict, "param_groups", groups);
    return dict;
  }

 private:
  NodeId make_groups() {
    const auto items = graph_.items(graph_.find(call_.state, "param_groups"));
    const NodeId groups = graph_.make_list({});
    for (const NodeId old : std::vector<NodeId>(items.begin(), items.end())) {
      const NodeId params = graph_.kind(old) == Kind::dict ? graph_.find(old, "params") : kNoNode;
      if (params == kNoNode) call_.fail("has a group without parameters");
      constexpr std::string_view kParams[] = {"params"};
      const NodeId group = copy_without(graph_, old, kParams);
      set_at_end(graph_, group, "params", make_numbers(params));
      graph_.append(groups, {&group, 1});
    }
    return groups;
  }

  NodeId make_numbers(NodeId params) {
    const auto items = graph_.items(params);
    std::vector<NodeId> numbers;
    for (const NodeId param : std::vector<NodeId>(items.begin(), items.end()))
      numbers.push_back(number(param));
    return graph_.make_list(numbers);
  }

  // A parameter that left its group keeps its state, under a number of its own.
  NodeId make_state() {
    const NodeId old = graph_.find(call_.state, "state"), state = graph_.make_dict(DictFlavor::plain);
    for (std::size_t i = 0; i < graph_.entry_count(old); ++i) {
      const Entry entry = graph_.entry(old, i);
      const bool parameter = graph_.kind(entry.key) == Kind::tensor || numbers_.contains(entry.key);
      const NodeId pair[2] = {parameter ? number(entry.key) : entry.key, entry.value};
      graph_.append(state, pair);
    }
    return state;
  }

  NodeId number(NodeId param) {
    const auto [found, fresh] = numbers_.try_emplace(param);
    if (fresh) found->second = graph_.make_integer(static_cast<std::int64_t>(numbers_.size()) - 1);
    return found->second;
  }

  Call& call_;
  ValueGraph& graph_;
  std::unordered_map<NodeId, NodeId> numbers_;
};

// The state_dict of a GradScaler from its attributes; None when it was disabled.
// Source: torch/amp/grad_scaler.py, __getstate__: the tensors become _init_scale and _init_growth_tracker.
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
    set_at_end(graph, dict, key, value);
  }
  return dict;
}

// A scheduler's state_dict: all its attributes but the optimizer; functions and other schedulers come last.
// Source: torch/optim/lr_scheduler.py, state_dict of each class.
NodeId scheduler_state(Call& call) {
  static constexpr auto kLast =
      std::to_array<std::string_view>({"lr_lambdas", "_schedulers", "_scale_fn_custom"});
  static constexpr auto kMoved = std::to_array<std::string_view>(
      {"optimizer", "is_better", "_scale_fn_ref", kLast[0], kLast[1], kLast[2]});
  ValueGraph& graph = call.graph;
  const NodeId dict = copy_without(graph, call.state, kMoved);
  for (const std::string_view key : kLast)
    if (const NodeId value = graph.find(call.state, key); value != kNoNode)
      set_at_end(graph, dict, key, value);
  return dict;
}

bool is_optimizer(const Call& call) {
  return has_kind(call, "param_groups", Kind::list) && has_kind(call, "state", Kind::dict);
}

bool is_scaler(const Call& call) {
  if (call.known) return call.known->role == Role::scaler_class;
  return has(call, "_init_scale") && has(call, "_growth_interval") && has(call, "_init_growth_tracker");
}

bool is_scheduler(const Call& call) {
  if (call.known) return call.known->role == Role::scheduler_class;
  return has(call, "optimizer") && has(call, "base_lrs") && has(call, "last_epoch");
}

// torch.ScriptObject: (state, name of its class); of packed weights the state is what they were packed from.
bool interpret_script_object(Call& call) {
  const auto parts = call.graph.items(call.state);
  if (call.graph.kind(call.state) != Kind::tuple || parts.size() != 2) return false;
  const std::string name(call.graph.as_text(parts[1]).value_or("?"));
  call.become(parts[0]);
  call.note(Code::object_to_data, name + " → its state");
  return true;
}

}  // namespace

bool interpret_object(Call& call) {
  if (!call.instance || call.state == kNoNode) return false;
  if (call.known && call.class_name() == "torch.ScriptObject") return interpret_script_object(call);
  if (call.graph.kind(call.state) != Kind::dict) return false;
  if (is_optimizer(call))
    call.become(OptimizerState(call).make());
  else if (is_scaler(call))
    call.become(scaler_state(call));
  else if (is_scheduler(call))
    call.become(scheduler_state(call));
  else
    return false;
  call.note(Code::scaler_from_object, call.class_name() + " → its state_dict");
  return true;
}

}  // namespace ferry::torch
