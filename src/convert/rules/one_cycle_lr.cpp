// OneCycleLR: up to PyTorch 2.0 `anneal_func` was a bound method and was pickled with the state; 2.x keeps
// its name in `_anneal_func_type`.  Up to 1.6 the two phases were step_size_up and step_size_down; later they
// are a list.  The formulas are the same.  Source: torch/optim/lr_scheduler.py.
#include <array>
#include <string>
#include <vector>

#include "src/convert/dicts.h"
#include "src/convert/loss_scale.h"
#include "src/convert/rules/apply.h"
#include "src/convert/wording.h"
#include "src/core/paths.h"
#include "src/core/text.h"

namespace ferry::convert {
namespace {

// "cos", "linear", or "" for another function.
std::string_view curve(const ValueGraph& graph, NodeId function) {
  if (!graph.is_text(function)) return "";
  const std::string_view name = graph.text(function);
  if (name.ends_with("._annealing_cos")) return "cos";
  return name.ends_with("._annealing_linear") ? "linear" : "";
}

NodeId make_phase(ValueGraph& graph, NodeId end, std::array<std::string_view, 4> names) {
  const NodeId phase = graph.make_dict(DictFlavor::plain);
  graph.set_entry(phase, "end_step", end);
  constexpr std::array<std::string_view, 4> kKeys = {"start_lr", "end_lr", "start_momentum", "end_momentum"};
  for (std::size_t i = 0; i < kKeys.size(); ++i) graph.set_entry(phase, kKeys[i], graph.make_text(names[i]));
  return phase;
}

// Up to initial_lr → max_lr, then down to min_lr until the last step.
bool make_phases(ValueGraph& graph, NodeId dict) {
  const NodeId up = graph.find(dict, "step_size_up"), total = graph.find(dict, "total_steps");
  if (up == kNoNode || graph.find(dict, "_schedule_phases") != kNoNode || !as_number(graph, up) ||
      !graph.as_integer(total))
    return false;
  const NodeId last = graph.make_integer(*graph.as_integer(total) - 1);
  const std::vector<NodeId> phases = {
      make_phase(graph, up, {"initial_lr", "max_lr", "max_momentum", "base_momentum"}),
      make_phase(graph, last, {"max_lr", "min_lr", "base_momentum", "max_momentum"})};
  graph.set_entry(dict, "_schedule_phases", graph.make_list(phases));
  remove_entries(graph, dict, std::array<std::string_view, 2>{"step_size_up", "step_size_down"});
  return true;
}

}  // namespace

void convert_one_cycle_lr(Checkpoint& checkpoint, const RuleOptions&, ChangeLog& log) {
  ValueGraph& graph = checkpoint.values;
  for (const Place& place : find_dicts(graph, "anneal_func")) {
    if (graph.find(place.dict, "total_steps") == kNoNode) continue;
    const std::string_view name = curve(graph, place.value);
    std::vector<std::string> done;
    remove_entries(graph, place.dict, std::array{std::string_view("anneal_func")});
    if (!name.empty() && graph.find(place.dict, "_anneal_func_type") == kNoNode) {
      graph.set_entry(place.dict, "_anneal_func_type", graph.make_text(name));
      done.push_back("anneal_func → _anneal_func_type: " + quote(std::string(name)));
    } else if (name.empty()) {
      log.add(Code::function_lost, join_path(place.path, "anneal_func"),
              "is no curve of OneCycleLR: give anneal_strategy to OneCycleLR again");
    }
    if (make_phases(graph, place.dict)) done.push_back("step_size_up, step_size_down → _schedule_phases");
    if (!done.empty()) log.add(Code::scheduler_state, place.path, "OneCycleLR: " + listed(done, done.size()));
  }
}

}  // namespace ferry::convert
