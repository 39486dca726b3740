// Where a checkpoint shows that apex was there: settings beside the model, names of its classes, and states
// of its optimizers.  Nothing is changed; people need to know which class of torch goes on from here.
//
// apex's SyncBatchNorm keeps what torch.nn.SyncBatchNorm and BatchNorm keep, and its DistributedDataParallel
// prefixes `module.` as torch's does (prefixes.cpp).  Source: apex/parallel/optimized_sync_batchnorm.py,
// apex/optimizers/fused_*.py.
#include <array>
#include <string>

#include "src/convert/dicts.h"
#include "src/convert/loss_scale.h"
#include "src/convert/optimizer.h"
#include "src/convert/rules/apply.h"
#include "src/convert/wording.h"
#include "src/core/paths.h"
#include "src/core/text.h"

namespace ferry::convert {
namespace {

struct Trace {
  std::string_view name;  // of a class, from its end
  std::string_view what;
};

constexpr auto kTraces = std::to_array<Trace>({
    {"SyncBatchNorm", "torch.nn.SyncBatchNorm has the same state"},
    {"DistributedDataParallel", "torch.nn.parallel.DistributedDataParallel wraps in the same way"},
    {"FusedLayerNorm", "torch.nn.LayerNorm has the same state"},
    {"MixedFusedLayerNorm", "torch.nn.LayerNorm has the same state"},
    {"FusedRMSNorm", "torch.nn.RMSNorm has the same state"},
    {"FusedAdam", "torch.optim.AdamW (adam_w_mode=False: Adam) goes on from its state"},
    {"FusedSGD", "torch.optim.SGD goes on from its state"},
    {"FusedAdagrad", "torch.optim.Adagrad goes on from its state"},
});

void remark_names(const Checkpoint& checkpoint, ChangeLog& log) {
  const ValueGraph& graph = checkpoint.values;
  bool any = false;
  for (NodeId id = 0; id < graph.node_count() && !any; ++id)
    any = graph.is_text(id) && graph.text(id).starts_with("apex.");
  if (!any) return;
  const Paths paths(graph, Reach::everything);
  for (std::size_t i = 0; i < paths.visits().size(); ++i) {
    const NodeId id = paths.visits()[i].node;
    if (!graph.is_text(id) || !graph.text(id).starts_with("apex.")) continue;
    const std::string_view name = graph.text(id);
    for (const Trace& trace : kTraces)
      if (name.ends_with(trace.name) && name[name.size() - trace.name.size() - 1] == '.')
        log.add(Code::apex_trace, paths.path(i), std::string(name) + ": " + std::string(trace.what));
  }
}

// A setting without the state that it would have had: projects that never saved amp.state_dict().
void remark_levels(const Checkpoint& checkpoint, ChangeLog& log) {
  if (log.has(Code::amp_to_scaler) || log.has(Code::fp16_optimizer)) return;
  for (const Place& place : find_opt_levels(checkpoint.values)) {
    const std::string level(checkpoint.values.text(place.value));
    log.add(Code::apex_trace, join_path(place.path, place.key),
            "opt level " + level + " of apex amp, whose state is not in the file: " +
                (level == "O0" || level == "O3" ? "there was no loss scale"
                                                : "a new GradScaler starts with its own scale"));
  }
}

std::string without_bias_correction(const ValueGraph& graph, NodeId groups) {
  for (const NodeId group : graph.items(groups)) {
    const NodeId flag = graph.find(group, "bias_correction");
    if (flag != kNoNode && graph.as_integer(flag).value_or(1) == 0)
      return "; bias_correction is False, which torch has no switch for: its steps will differ";
  }
  return "";
}

bool decays(const ValueGraph& graph, NodeId groups) {
  for (const NodeId group : graph.items(groups))
    if (as_number(graph, graph.find(group, "weight_decay")).value_or(0) != 0) return true;
  return false;
}

void remark_optimizers(const Checkpoint& checkpoint, ChangeLog& log) {
  const ValueGraph& graph = checkpoint.values;
  for (const Optimizer& optimizer : find_optimizers(graph)) {
    if (optimizer.kind == nullptr || !optimizer.kind->name.starts_with("apex ")) continue;
    std::string what(optimizer.kind->name.substr(5));
    if (what == "FusedAdam") {
      what += decays(graph, optimizer.groups)
                  ? " → torch.optim.AdamW; with adam_w_mode=False, which the file does not say, Adam"
                  : " → torch.optim.AdamW or Adam: without weight decay they are one";
      what += without_bias_correction(graph, optimizer.groups);
    } else if (what == "FusedAdagrad") {
      what +=
          decays(graph, optimizer.groups)
              ? " → torch.optim.Adagrad, which decays into the gradient as apex does without adagrad_w_mode"
              : " → torch.optim.Adagrad";
    } else {
      what += ": torch.optim has no such class; the state stays plain data, with the step in each entry";
    }
    log.add(Code::apex_optimizer, optimizer.path, what);
  }
}

}  // namespace

void remark_apex_traces(Checkpoint& checkpoint, const RuleOptions&, ChangeLog& log) {
  remark_names(checkpoint, log);
  remark_levels(checkpoint, log);
  remark_optimizers(checkpoint, log);
}

}  // namespace ferry::convert
