// fp32 masters → the parameters of the model.
//
// `fp32_masters` are what FP16_Optimizer kept (see fp16_optimizer.cpp): one list a group, a master for each
// parameter that was half.  `master_params` is how people save amp.master_params(optimizer), the only place
// where the masters of opt level O2 survive: one list, a master for each parameter.  Neither has names; they
// are in the order of the optimizer's parameters.
#include <array>
#include <map>
#include <string>

#include "src/convert/dicts.h"
#include "src/convert/parameters.h"
#include "src/convert/rules/apply.h"
#include "src/convert/wording.h"
#include "src/core/paths.h"

namespace ferry::convert {
namespace {

std::vector<NodeId> masters_in(const ValueGraph& graph, NodeId value) {
  std::vector<NodeId> all;
  if (graph.kind(value) != Kind::list && graph.kind(value) != Kind::tuple) return all;
  for (const NodeId item : graph.items(value)) {
    if (graph.kind(item) == Kind::tensor) {
      all.push_back(item);
    } else if (is_list_of_tensors(graph, item)) {
      all.insert(all.end(), graph.items(item).begin(), graph.items(item).end());
    } else {
      return {};
    }
  }
  return all;
}

class MasterRule {
 public:
  MasterRule(Checkpoint& checkpoint, ChangeLog& log)
      : checkpoint_(checkpoint), graph_(checkpoint.values), log_(log) {}

  void run(const Place& place, std::string_view key) {
    const std::string path = join_path(place.path, key);
    const std::vector<NodeId> masters = masters_in(graph_, place.value);
    if (masters.empty()) return;
    const bool halves = key != "master_params";
    std::string why = "no state_dict lies beside them";
    NodeId model = kNoNode;
    std::string model_path;
    std::vector<NodeId> targets;
    for (std::size_t i = 0; i < graph_.entry_count(place.dict); ++i) {
      const auto [name, value] = graph_.entry(place.dict, i);
      if (!is_model(value)) continue;
      auto found = targets_in(value, masters, halves, why);
      if (found.empty()) continue;
      if (model != kNoNode) return refuse(path, "more than one state_dict beside them would take them");
      model = value;
      model_path = join_path(place.path, key_text(graph_, name));
      targets = std::move(found);
    }
    if (model == kNoNode) return refuse(path, why);
    replace(model, targets, masters);
    remove_entries(graph_, place.dict, std::array{key});
    log_.add(Code::masters_to_model, model_path,
             counted(masters.size(), "parameter") + " replaced by float32 masters from " + path);
  }

 private:
  void refuse(const std::string& path, const std::string& why) {
    log_.add(Code::masters_unplaced, path, "kept as they are: " + why);
  }

  bool is_model(NodeId value) const {
    return graph_.kind(value) == Kind::dict && graph_.find(value, "param_groups") == kNoNode &&
           !parameters_of(checkpoint_, value).empty();
  }

  // The tensors of the model that the masters belong to, in their order; empty when that is not beyond doubt.
  std::vector<NodeId> targets_in(NodeId model, const std::vector<NodeId>& masters, bool halves,
                                 std::string& why) const {
    auto named = parameters_of(checkpoint_, model);
    if (halves)
      std::erase_if(named, [&](const NamedParameter& parameter) { return !is_half(parameter.tensor); });
    std::vector<std::optional<Shape>> wanted;
    for (const NodeId master : masters) {
      const auto shape = checkpoint_.shape(checkpoint_.tensors[graph_.index(master)]);
      wanted.emplace_back(Shape(shape.begin(), shape.end()));
    }
    const Pairs pairs = pair_parameters(wanted, named);
    if (!pairs.all_sure()) {
      why = "which of the " + counted(named.size(), halves ? "half parameter" : "parameter") + " the " +
            std::to_string(masters.size()) + " masters belong to cannot be told by order and shape";
      return {};
    }
    std::vector<NodeId> targets;
    for (const std::size_t i : pairs.named) targets.push_back(named[i].tensor);
    return targets;
  }

  bool is_half(NodeId tensor) const {
    const DType dtype = checkpoint_.tensors[graph_.index(tensor)].dtype;
    return dtype == DType::float16 || dtype == DType::bfloat16;
  }

  // A master was saved as a Parameter; a state_dict holds plain tensors.  What is one tensor under several
  // names stays one.
  void replace(NodeId model, const std::vector<NodeId>& targets, const std::vector<NodeId>& masters) {
    std::map<View, NodeId> made;
    for (std::size_t i = 0; i < targets.size(); ++i) {
      Tensor plain = checkpoint_.tensors[graph_.index(masters[i])];
      plain.parameter = plain.requires_grad = false;
      checkpoint_.tensors.push_back(plain);
      made.emplace(
          view_of(checkpoint_, targets[i]),
          graph_.make_indexed(Kind::tensor, static_cast<std::uint32_t>(checkpoint_.tensors.size() - 1)));
    }
    const auto old = graph_.items(model);
    std::vector<NodeId> pairs(old.begin(), old.end());
    for (std::size_t i = 1; i < pairs.size(); i += 2) {
      if (graph_.kind(pairs[i]) != Kind::tensor) continue;
      if (const auto found = made.find(view_of(checkpoint_, pairs[i])); found != made.end())
        pairs[i] = found->second;
    }
    graph_.set_items(model, pairs);
  }

  Checkpoint& checkpoint_;
  ValueGraph& graph_;
  ChangeLog& log_;
};

}  // namespace

void put_masters_into_model(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log) {
  if (options.masters != Masters::model) return;
  MasterRule rule(checkpoint, log);
  for (const std::string_view key : {"fp32_masters", "master_params"})
    for (const Place& place : find_dicts(checkpoint.values, key)) rule.run(place, key);
}

}  // namespace ferry::convert
