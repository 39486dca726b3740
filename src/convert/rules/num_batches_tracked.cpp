// num_batches_tracked: norms with running statistics count their batches since 0.4.1, version 2 of the module
// in `_metadata`.  2.x takes 0 for it where the version says less or nothing, and fails a strict load where
// it says 2: such a state_dict was put together by hand.  The counter matters only with momentum=None.
// Source: torch/nn/modules/batchnorm.py (_load_from_state_dict).
#include <algorithm>

#include "src/convert/layout_fix.h"
#include "src/convert/rules/apply.h"
#include "src/convert/state_dict.h"

namespace ferry::convert {
namespace {

NodeId zero(Checkpoint& checkpoint) {
  const std::uint32_t index =
      checkpoint.add_tensor(DType::int64, {}, std::vector<std::byte>(8), false, "num_batches_tracked");
  return checkpoint.values.make_indexed(Kind::tensor, index);
}

// The version of a module becomes 2 where `_metadata` has the module with less.
void raise_version(ValueGraph& graph, NodeId metadata, std::string_view module) {
  if (metadata == kNoNode) return;
  const NodeId entry = graph.find(metadata, module);
  if (entry == kNoNode || graph.kind(entry) != Kind::dict) return;
  const NodeId version = graph.find(entry, "version");
  if (version != kNoNode && graph.as_integer(version).value_or(0) >= 2) return;
  const NodeId raised = graph.make_dict(graph.flavor(entry));  // a new one: modules may share theirs
  graph.append(raised, graph.items(entry));
  graph.set_entry(raised, "version", graph.make_integer(2));
  graph.set_entry(metadata, module, raised);
}

}  // namespace

void add_batch_counters(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log) {
  fix_layout(checkpoint, options, "num_batches_tracked", "norm", "given 0, the count being unknown", log,
             [](NamedTensors& tensors) {
               const NodeId metadata = metadata_of(tensors.checkpoint().values, tensors.dict());
               for (const std::string& name : tensors.names()) {
                 if (leaf_of(name) != "running_var" || tensors.find(name) == kNoNode) continue;
                 const std::string module = module_of(name), stem = module.empty() ? "" : module + ".";
                 if (tensors.find(stem + "running_mean") == kNoNode ||
                     tensors.has(stem + "num_batches_tracked") || !tensors.in_scope(module))
                   continue;
                 tensors.add_behind(name, stem + "num_batches_tracked", zero(tensors.checkpoint()));
                 raise_version(tensors.checkpoint().values, metadata, module);
                 tensors.done(module.empty() ? "the root module" : module);
               }
             });
}

}  // namespace ferry::convert
