#include "validators/structure/optimizer_classes.h"

#include <algorithm>
#include <array>

namespace ferry::structure {
namespace {

// The first row that fits counts.  Sources: __init__ and _init_group of torch/optim/*.py in 2.13, older
// versions where they had fewer keys, and apex/optimizers/fused_*.py.
constexpr auto kClasses = std::to_array<OptimizerClass>({
    {"NAdam", "betas momentum_decay", "", "lr eps weight_decay", "step exp_avg exp_avg_sq mu_product"},
    {"apex FusedAdam, FusedLAMB or FusedNovoGrad", "betas bias_correction", "", "lr eps weight_decay",
     "step exp_avg exp_avg_sq"},
    {"Adam or AdamW", "betas amsgrad", "", "lr eps weight_decay", "step exp_avg exp_avg_sq"},
    {"SparseAdam", "betas eps", "weight_decay", "lr", "step exp_avg exp_avg_sq"},
    {"RAdam or Adamax", "betas eps weight_decay", "", "lr", "step exp_avg"},
    {"Adafactor", "beta2_decay", "", "lr eps d weight_decay", "step"},
    {"Adagrad", "lr_decay", "", "lr eps weight_decay", "step sum"},
    {"Adadelta", "rho", "", "lr eps weight_decay", "step square_avg acc_delta"},
    {"ASGD", "lambd", "", "lr alpha t0 weight_decay", "step eta mu ax"},
    {"RMSprop", "alpha", "lambd", "lr eps weight_decay momentum centered", "step square_avg"},
    {"Rprop", "etas", "", "lr step_sizes", "step prev step_size"},
    {"LBFGS", "history_size", "", "lr max_iter", ""},
    {"Muon", "ns_coefficients", "", "lr momentum weight_decay", "momentum_buffer"},
    {"SGD", "momentum dampening", "", "lr weight_decay nesterov", ""},
});

constexpr std::string_view kLikeParameter =
    "exp_avg exp_avg_sq max_exp_avg_sq exp_inf momentum_buffer square_avg grad_avg acc_delta sum ax prev "
    "step_size variance";
constexpr std::string_view kOneNumber = "step eta mu mu_product";
constexpr std::string_view kFlat = "d prev_flat_grad";

bool group_fits(const ValueGraph& graph, NodeId group, const OptimizerClass& one) {
  bool fits = true;
  each_word(one.group_keys, [&](std::string_view key) { fits = fits && graph.find(group, key) != kNoNode; });
  each_word(one.absent, [&](std::string_view key) { fits = fits && graph.find(group, key) == kNoNode; });
  return fits;
}

}  // namespace

bool has_word(std::string_view list, std::string_view word) {
  bool found = false;
  each_word(list, [&](std::string_view one) { found = found || one == word; });
  return found;
}

const OptimizerClass* find_optimizer_class(const ValueGraph& graph, NodeId groups) {
  const auto items = graph.items(groups);
  if (items.empty()) return nullptr;
  for (const OptimizerClass& one : kClasses)
    if (std::ranges::all_of(items, [&](NodeId group) { return group_fits(graph, group, one); })) return &one;
  return nullptr;
}

StateShape state_shape(std::string_view key) {
  if (has_word(kLikeParameter, key)) return StateShape::like_parameter;
  if (has_word(kOneNumber, key)) return StateShape::one_number;
  if (has_word(kFlat, key)) return StateShape::flat;
  if (key == "row_var") return StateShape::rows;
  if (key == "col_var") return StateShape::columns;
  return StateShape::unknown;
}

}  // namespace ferry::structure
