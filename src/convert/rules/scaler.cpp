// torch.amp.GradScaler(enabled=False).state_dict() is {}, and an enabled GradScaler raises on it; code that
// resumes asks `if checkpoint["scaler"] is not None`.  Source: torch/amp/grad_scaler.py.
#include <array>

#include "src/convert/dicts.h"
#include "src/convert/rules/apply.h"
#include "src/core/paths.h"

namespace ferry::convert {
namespace {

constexpr auto kNames = std::to_array<std::string_view>(
    {"scaler", "grad_scaler", "gradscaler", "amp_scaler", "scaler_state", "scaler_state_dict", "scaler_dict",
     "grad_scaler_state_dict", "amp_scaler_state_dict", "native_amp_scaling_state"});

}  // namespace

void empty_scalers_to_none(Checkpoint& checkpoint, const RuleOptions&, ChangeLog& log) {
  ValueGraph& graph = checkpoint.values;
  for (const Place& place : find_dicts(graph, kNames)) {
    if (graph.kind(place.value) != Kind::dict || graph.entry_count(place.value) != 0) continue;
    graph.set_entry(place.dict, place.key, graph.make_none());
    log.add(Code::scaler_to_none, join_path(place.path, place.key),
            "{} (it was disabled) → None: an enabled GradScaler refuses {}");
  }
}

}  // namespace ferry::convert
