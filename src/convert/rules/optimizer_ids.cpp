// Parameters of an optimizer were named by id() of the Python object up to PyTorch 1.5, and by their position
// in the groups since 1.6.  Source: torch/optim/optimizer.py (state_dict).
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "src/convert/optimizer.h"
#include "src/convert/rules/apply.h"
#include "src/convert/wording.h"
#include "src/core/paths.h"

namespace ferry::convert {
namespace {

// Numbers of parameters by their old name, in order of appearance in the groups.
struct Numbering {
  std::unordered_map<std::int64_t, std::int64_t> index;
  bool usable = true;    // all names are integers
  bool numbered = true;  // and they are what they should be already
};

Numbering number(const ValueGraph& graph, NodeId groups) {
  Numbering numbering;
  for (const NodeId group : graph.items(groups)) {
    for (const NodeId id : graph.items(graph.find(group, "params"))) {
      if (graph.kind(id) != Kind::integer) {
        numbering.usable = false;  // names as text, as FSDP writes them, are no ids
        return numbering;
      }
      const auto next = static_cast<std::int64_t>(numbering.index.size());
      const auto place = numbering.index.try_emplace(graph.integer(id), next).first;
      numbering.numbered = numbering.numbered && place->second == graph.integer(id);
    }
  }
  return numbering;
}

class Renumberer {
 public:
  Renumberer(ValueGraph& graph, ChangeLog& log) : graph_(graph), log_(log) {}

  // Groups and states that several optimizers share are rewritten once.
  void run(const Optimizer& optimizer, const Numbering& numbering) {
    if (!numbering.usable) return;
    if (states_.insert(optimizer.state).second) {
      const std::size_t stale = rename_states(optimizer.state, numbering);
      if (stale != 0)
        log_.add(Code::stale_optimizer_state, join_path(optimizer.path, "state"),
                 counted(stale, "entry") + " for parameters that no group names" +
                     (numbering.numbered ? "" : ", kept under new numbers after the last"));
    }
    if (numbering.numbered) return;
    for (std::size_t i = 0; i < graph_.items(optimizer.groups).size(); ++i)
      if (const NodeId group = graph_.items(optimizer.groups)[i]; groups_.insert(group).second)
        rename_parameters(group, numbering);
    log_.add(Code::optimizer_ids, optimizer.path,
             counted(numbering.index.size(), "parameter id") + " → numbers in the order of the groups");
  }

 private:
  // The number of entries that belong to no parameter of the groups.  Their keys follow those of the
  // parameters, in the order in which they stand, so that no two keys become equal.
  std::size_t rename_states(NodeId state, const Numbering& numbering) {
    auto next = static_cast<std::int64_t>(numbering.index.size());
    std::size_t stale = 0;
    const auto old = graph_.items(state);
    std::vector<NodeId> pairs(old.begin(), old.end());
    for (std::size_t i = 0; i < pairs.size(); i += 2) {
      if (graph_.kind(pairs[i]) != Kind::integer) continue;
      const auto found = numbering.index.find(graph_.integer(pairs[i]));
      const bool known = found != numbering.index.end();
      stale += known ? 0 : 1;
      if (!numbering.numbered) pairs[i] = graph_.make_integer(known ? found->second : next++);
    }
    if (!numbering.numbered) graph_.set_items(state, pairs);
    return stale;
  }

  void rename_parameters(NodeId group, const Numbering& numbering) {
    const auto old = graph_.items(graph_.find(group, "params"));
    std::vector<NodeId> numbers(old.begin(), old.end());
    for (NodeId& id : numbers) id = graph_.make_integer(numbering.index.at(graph_.integer(id)));
    // A new list: the old one may be shared with groups that are still to be read.
    graph_.set_entry(group, "params", graph_.make_list(numbers));
  }

  ValueGraph& graph_;
  ChangeLog& log_;
  std::unordered_set<NodeId> states_, groups_;
};

}  // namespace

void number_parameters(Checkpoint& checkpoint, const RuleOptions&, ChangeLog& log) {
  const auto optimizers = find_optimizers(checkpoint.values);
  std::vector<Numbering> numberings;  // all of them before the first edit, as optimizers may share groups
  numberings.reserve(optimizers.size());
  for (const Optimizer& optimizer : optimizers)
    numberings.push_back(number(checkpoint.values, optimizer.groups));
  Renumberer renumberer(checkpoint.values, log);
  for (std::size_t i = 0; i < optimizers.size(); ++i) renumberer.run(optimizers[i], numberings[i]);
}

}  // namespace ferry::convert
