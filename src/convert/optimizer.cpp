#include "src/convert/optimizer.h"

#include <algorithm>
#include <array>

#include "src/core/paths.h"

namespace ferry::convert {
namespace {

#define FERRY_FLAGS "maximize=False foreach=None capturable=False differentiable=False"

// Sources: torch/optim/*.py 0.4 … 2.13 (__init__ for the groups, _init_group and step for the states,
// __setstate__ for what 2.13 turns into tensors), apex/optimizers/fused_*.py.  The first row that fits
// counts.
//
// decoupled_weight_decay is missing where AdamW is possible: 2.13 sets it on loading, and differently for
// both. SparseAdam keeps whole step counts in 2.13 too, and with float32 ones its bias correction gives other
// bits. FusedAdagrad counts no steps: they matter only for lr_decay, which it has not.
constexpr auto kKinds = std::to_array<OptimizerKind>({
    {"NAdam", "betas eps weight_decay momentum_decay", "", false, "step mu_product exp_avg exp_avg_sq",
     Steps::to_tensors, "decoupled_weight_decay=False " FERRY_FLAGS},
    {"Adam or AdamW", "betas eps weight_decay amsgrad", "momentum_decay", false,
     "step exp_avg exp_avg_sq max_exp_avg_sq", Steps::to_tensors, FERRY_FLAGS " fused=None"},
    {"apex FusedNovoGrad", "bias_correction betas eps weight_decay grad_averaging exp_avg_sq", "", false,
     "step exp_avg", Steps::to_tensors, ""},
    {"apex FusedLAMB or FusedNovoGrad", "bias_correction betas eps weight_decay grad_averaging", "", false,
     "step exp_avg exp_avg_sq", Steps::to_tensors, ""},
    {"apex FusedAdam", "bias_correction betas eps weight_decay", "", false, "step exp_avg exp_avg_sq",
     Steps::to_tensors, "amsgrad=False " FERRY_FLAGS " fused=None"},
    {"RAdam, Adamax or Adam of 0.3", "betas eps weight_decay", "", true, "step exp_avg exp_avg_sq exp_inf",
     Steps::to_tensors, FERRY_FLAGS},
    {"SparseAdam", "betas eps", "weight_decay", true, "step exp_avg exp_avg_sq", Steps::stay,
     "maximize=False"},
    {"Adagrad", "lr_decay weight_decay", "", false, "step sum", Steps::to_tensors,
     "eps=1e-10 initial_accumulator_value=0 foreach=None maximize=False differentiable=False fused=None"},
    {"Adadelta", "rho eps weight_decay", "", false, "step square_avg acc_delta", Steps::to_tensors,
     FERRY_FLAGS},
    {"ASGD", "lambd alpha t0 weight_decay", "", false, "step eta mu ax", Steps::to_tensors, FERRY_FLAGS},
    {"RMSprop", "alpha eps weight_decay", "", false, "step square_avg momentum_buffer grad_avg",
     Steps::to_tensors, "momentum=0 centered=False " FERRY_FLAGS},
    {"Rprop", "etas step_sizes", "", false, "step prev step_size", Steps::to_tensors, FERRY_FLAGS},
    {"SGD", "momentum dampening weight_decay", "", false, "momentum_buffer", Steps::stay,
     "nesterov=False maximize=False foreach=None differentiable=False fused=None"},
    {"LBFGS", "max_iter max_eval tolerance_grad tolerance_change history_size line_search_fn", "", false,
     "func_evals n_iter d t old_dirs old_stps ro al H_diag prev_flat_grad prev_loss", Steps::stay, ""},
    {"apex FusedAdagrad", "eps weight_decay", "betas", true, "step sum", Steps::missing,
     "lr_decay=0 initial_accumulator_value=0 foreach=None maximize=False differentiable=False fused=None"},
});

#undef FERRY_FLAGS

// What any group may have: common to all classes, put there by schedulers, or added later by PyTorch.
constexpr std::string_view kCommonKeys =
    "params lr initial_lr max_lr min_lr base_momentum max_momentum swa_lr name param_names step "
    "maximize foreach capturable differentiable fused decoupled_weight_decay";

// States of one optimizer have the same keys; a few of them tell.
constexpr std::size_t kStatesLookedAt = 16;

bool contains(std::string_view list, std::string_view word) {
  for (std::size_t at = list.find(word); at != std::string_view::npos; at = list.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if ((at == 0 || list[at - 1] == ' ') && (end == list.size() || list[end] == ' ')) return !word.empty();
  }
  return false;
}

bool has_any(const ValueGraph& graph, NodeId dict, std::string_view keys) {
  const auto all = words(keys);
  return std::any_of(all.begin(), all.end(), [&](auto key) { return graph.find(dict, key) != kNoNode; });
}

bool has_all(const ValueGraph& graph, NodeId dict, std::string_view keys) {
  const auto all = words(keys);
  return std::all_of(all.begin(), all.end(), [&](auto key) { return graph.find(dict, key) != kNoNode; });
}

bool has_only(const ValueGraph& graph, NodeId dict, std::string_view keys, std::string_view more) {
  for (std::size_t i = 0; i < graph.entry_count(dict); ++i) {
    const std::string_view key = graph.text(graph.entry(dict, i).key);
    if (!contains(keys, key) && !contains(more, key)) return false;
  }
  return true;
}

bool groups_fit(const ValueGraph& graph, NodeId groups, const OptimizerKind& kind) {
  for (const NodeId group : graph.items(groups)) {
    if (!has_all(graph, group, kind.group_keys) || has_any(graph, group, kind.absent)) return false;
    if (kind.only && !has_only(graph, group, kind.group_keys, kCommonKeys)) return false;
  }
  return !graph.items(groups).empty();
}

bool states_fit(const ValueGraph& graph, NodeId state, const OptimizerKind& kind) {
  const std::size_t count = std::min(graph.entry_count(state), kStatesLookedAt);
  for (std::size_t i = 0; i < count; ++i) {
    const NodeId entry = graph.entry(state, i).value;
    if (graph.kind(entry) != Kind::dict || !has_only(graph, entry, kind.state_keys, "")) return false;
  }
  return true;
}

const OptimizerKind* find_kind(const ValueGraph& graph, NodeId state, NodeId groups) {
  for (const OptimizerKind& kind : kKinds)
    if (groups_fit(graph, groups, kind) && states_fit(graph, state, kind)) return &kind;
  return nullptr;
}

bool are_groups(const ValueGraph& graph, NodeId groups) {
  if (graph.kind(groups) != Kind::list) return false;
  const auto items = graph.items(groups);
  return std::all_of(items.begin(), items.end(), [&](NodeId group) {
    const NodeId parameters = graph.find(group, "params");
    return parameters != kNoNode && graph.kind(parameters) == Kind::list;
  });
}

}  // namespace

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> all;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end != 0) all.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return all;
}

bool is_optimizer(const ValueGraph& graph, NodeId dict) {
  const NodeId groups = graph.find(dict, "param_groups"), state = graph.find(dict, "state");
  return groups != kNoNode && are_groups(graph, groups) && state != kNoNode &&
         graph.kind(state) == Kind::dict;
}

std::vector<Optimizer> find_optimizers(const ValueGraph& graph) {
  std::vector<Optimizer> all;
  const Paths paths(graph, Reach::containers);
  for (std::size_t i = 0; i < paths.visits().size(); ++i) {
    const NodeId dict = paths.visits()[i].node;
    if (graph.kind(dict) != Kind::dict) continue;
    const NodeId groups = graph.find(dict, "param_groups");
    if (groups == kNoNode || !are_groups(graph, groups)) continue;
    const NodeId state = graph.find(dict, "state");
    if (state == kNoNode || graph.kind(state) != Kind::dict) continue;
    all.push_back({dict, state, groups, paths.path(i), find_kind(graph, state, groups)});
  }
  return all;
}

}  // namespace ferry::convert
