// InstanceNorm kept running statistics up to 0.3, used or not; since 0.4 it has none by default, and a load
// fails on them.  A state_dict does not say InstanceNorm: a norm with statistics and without weight is one by
// default (BatchNorm has weights by default); one with weights must be named: --fix instance_norm:'net.*'.
// Source: torch/nn/modules/instancenorm.py (_load_from_state_dict).
#include "src/convert/layout_fix.h"
#include "src/convert/rules/apply.h"

namespace ferry::convert {

void drop_instance_statistics(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log) {
  fix_layout(
      checkpoint, options, "instance_norm", "norm", "lost its running statistics", log,
      [](NamedTensors& tensors) {
        for (const std::string& name : tensors.names()) {
          if (leaf_of(name) != "running_mean" || tensors.find(name) == kNoNode) continue;
          const std::string module = module_of(name), stem = module.empty() ? "" : module + ".";
          if (tensors.find(stem + "running_var") == kNoNode || !tensors.in_scope(module)) continue;
          if (!tensors.named_by_user() && (tensors.has(stem + "weight") || tensors.has(stem + "bias"))) {
            tensors.left(module, "it has a weight, so it may be a BatchNorm");
            continue;
          }
          for (const char* leaf : {"running_mean", "running_var", "num_batches_tracked"})
            if (tensors.has(stem + leaf)) tensors.remove(stem + leaf);
          tensors.done(module.empty() ? "the root module" : module);
        }
      });
}

}  // namespace ferry::convert
