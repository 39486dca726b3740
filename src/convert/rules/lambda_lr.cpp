// LambdaLR and MultiplicativeLR keep, for each group, the attributes of a callable object, or None where it
// was a function or lambda: the code must pass that again.  In a scheduler that was pickled whole the
// functions are names, which load_state_dict would take for attributes: they become None. Source:
// torch/optim/lr_scheduler.py (LambdaLR.state_dict, load_state_dict).
#include <string>
#include <vector>

#include "src/convert/dicts.h"
#include "src/convert/rules/apply.h"
#include "src/convert/wording.h"
#include "src/core/paths.h"
#include "src/core/text.h"

namespace ferry::convert {

void convert_lambda_lr(Checkpoint& checkpoint, const RuleOptions&, ChangeLog& log) {
  ValueGraph& graph = checkpoint.values;
  for (const Place& place : find_dicts(graph, "lr_lambdas")) {
    if (graph.kind(place.value) != Kind::list || graph.find(place.dict, "base_lrs") == kNoNode) continue;
    const auto items = graph.items(place.value);
    std::vector<NodeId> lambdas(items.begin(), items.end());
    std::vector<std::string> names;
    std::size_t lost = 0;
    for (NodeId& item : lambdas) {
      if (graph.is_text(item)) {
        names.push_back(std::string(graph.text(item)));
        item = graph.make_none();
      }
      lost += graph.kind(item) == Kind::none ? 1 : 0;
    }
    if (!names.empty()) {
      graph.set_entry(place.dict, "lr_lambdas", graph.make_list(lambdas));
      log.add(Code::scheduler_state, join_path(place.path, "lr_lambdas"),
              counted(names.size(), "name") + " of functions → None: " + listed(names));
    }
    if (lost != 0)
      log.add(Code::function_lost, join_path(place.path, "lr_lambdas"),
              counted(lost, "function") + " of " + counted(lambdas.size(), "group") +
                  " not in the file: give lr_lambda to the scheduler again");
  }
}

}  // namespace ferry::convert
