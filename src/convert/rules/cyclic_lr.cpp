// CyclicLR: up to PyTorch 1.12 `scale_fn` was an attribute, a bound method for the built-in modes, and was
// pickled with the state; 2.x chooses its own function by `mode` and pops `_scale_fn_custom` when it loads.
// `scale_fn` left in a state would hide the method of that name.  Source: torch/optim/lr_scheduler.py.
#include <array>
#include <string>

#include "src/convert/dicts.h"
#include "src/convert/rules/apply.h"
#include "src/core/paths.h"
#include "src/core/text.h"

namespace ferry::convert {
namespace {

bool is_cyclic(const ValueGraph& graph, NodeId dict) {
  for (const std::string_view key : {"base_lrs", "max_lrs", "total_size", "step_ratio", "scale_mode"})
    if (graph.find(dict, key) == kNoNode) return false;
  return true;
}

// What the reader made of a bound method: "torch.optim.lr_scheduler.CyclicLR._triangular_scale_fn".
bool is_built_in(std::string_view name) {
  return name.starts_with("torch.optim.lr_scheduler.") && name.ends_with("_scale_fn");
}

}  // namespace

void convert_cyclic_lr(Checkpoint& checkpoint, const RuleOptions&, ChangeLog& log) {
  ValueGraph& graph = checkpoint.values;
  for (const Place& place : find_dicts(graph, "step_ratio")) {
    if (!is_cyclic(graph, place.dict) || graph.find(place.dict, "_scale_fn_custom") != kNoNode) continue;
    const NodeId function = graph.find(place.dict, "scale_fn");
    const bool built_in =
        function == kNoNode || (graph.is_text(function) && is_built_in(graph.text(function)));
    const bool object = function != kNoNode && graph.kind(function) == Kind::dict;
    remove_entries(graph, place.dict, std::array{std::string_view("scale_fn")});
    graph.set_entry(place.dict, "_scale_fn_custom", object ? function : graph.make_none());
    log.add(Code::scheduler_state, place.path,
            std::string("CyclicLR: ") + (function == kNoNode ? "" : "scale_fn → ") +
                "_scale_fn_custom: " + (object ? "the attributes of a callable object" : "None"));
    if (!built_in && !object)
      log.add(
          Code::function_lost, join_path(place.path, "scale_fn"),
          (graph.is_text(function) ? quote(std::string(graph.text(function))) : std::string("a function")) +
              " is not in the file: give it to CyclicLR(scale_fn=…) again");
  }
}

}  // namespace ferry::convert
