// torch.optim.swa_utils.AveragedModel: {n_averaged, module.conv.weight, …}.  2.x loads it as it is into an
// AveragedModel; as weights of the plain model it needs the names of the model.
#include "src/convert/layout_fix.h"
#include "src/convert/rules/apply.h"
#include "src/convert/state_dict.h"

namespace ferry::convert {
namespace {

constexpr std::string_view kPrefix = "module.";

}  // namespace

void unwrap_averaged_model(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log) {
  fix_layout(checkpoint, options, "averaged_model", "key", "without n_averaged and module.", log,
             [](NamedTensors& tensors) {
               if (!tensors.has("n_averaged")) return;
               const auto names = tensors.names();
               for (const std::string& name : names)
                 if (name != "n_averaged" && !name.starts_with(kPrefix))
                   return tensors.left("", "it has n_averaged, but " + name + " has no module. before it");
               tensors.remove("n_averaged");
               for (const std::string& name : names) {
                 if (name == "n_averaged") continue;
                 tensors.rename(name, name.substr(kPrefix.size()));
                 tensors.done(name.substr(kPrefix.size()));
               }
               ValueGraph& graph = tensors.checkpoint().values;
               if (const NodeId metadata = metadata_of(graph, tensors.dict()); metadata != kNoNode)
                 strip_metadata(graph, metadata, kPrefix);
             });
}

}  // namespace ferry::convert
