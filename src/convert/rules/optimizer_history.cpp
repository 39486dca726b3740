// LBFGS up to PyTorch 1.1 made `ro` a list of history_size, None behind the entries that it had; since 1.2 it
// has one for each pair of old_dirs and old_stps and is appended to.  The numbers are the same.
// Source: torch/optim/lbfgs.py.
#include <string>
#include <vector>

#include "src/convert/dicts.h"
#include "src/convert/optimizer.h"
#include "src/convert/rules/apply.h"
#include "src/convert/wording.h"
#include "src/core/paths.h"

namespace ferry::convert {

void shorten_lbfgs_history(Checkpoint& checkpoint, const RuleOptions&, ChangeLog& log) {
  ValueGraph& graph = checkpoint.values;
  for (const Place& place : find_dicts(graph, "old_dirs")) {
    const NodeId pairs = place.value, ro = graph.find(place.dict, "ro");
    if (ro == kNoNode || graph.kind(ro) != Kind::list || graph.kind(pairs) != Kind::list ||
        graph.find(place.dict, "old_stps") == kNoNode)
      continue;
    const auto items = graph.items(ro);
    const std::size_t kept = graph.items(pairs).size(), all = items.size();
    // What is cut off must be None, and what stays must not be: anything else is no state of LBFGS.
    bool fits = all > kept;
    for (std::size_t i = 0; i < all; ++i) fits = fits && (graph.kind(items[i]) == Kind::none) == (i >= kept);
    if (!fits) continue;
    graph.set_entry(place.dict, "ro",
                    graph.make_list(std::vector<NodeId>(items.begin(),
                                                        items.begin() + static_cast<std::ptrdiff_t>(kept))));
    log.add(Code::optimizer_history, join_path(place.path, "ro"),
            counted(all - kept, "None") + " cut off; " + std::to_string(kept) +
                " stay, one for each of old_dirs");
  }
}

}  // namespace ferry::convert
