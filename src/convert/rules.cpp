#include <algorithm>
#include <array>

#include "src/convert/notes.h"
#include "src/convert/rule.h"
#include "src/convert/rules/apply.h"

namespace ferry::convert {
namespace {

// What was asked for comes first, so that the other rules see, and report, only what will be written; but
// names are changed when prefixes are gone, for they are the names that people write their patterns for.
// A recipe finds prefixes gone and states of apex already those of torch; what it drops is not worked on any
// more.  Parameters are numbered before steps move from groups into states, which are found by those numbers;
// what tells the optimizers of apex is there until their groups are completed;
// compaction comes last, when no tensor is added or dropped any more.
constexpr std::string_view kRecipe = "recipe";

constexpr auto kRules = std::to_array<Rule>({
    {"recipe_shape", "a recipe is for files of one layout", When::asked, check_recipe_shape},
    {"select", "only a part of the checkpoint is wanted", When::asked, select_subtree},
    {"filter", "only some of the tensors are wanted", When::asked, filter_tensors},
    {"prefixes", "a model that is not wrapped has no such keys", When::layout, strip_prefixes},
    {"wrappers", "torch.compile, FSDP and checkpointing put their names before those of inner modules",
     When::fix, unwrap_inner_modules},
    {"averaged_model", "an averaged model is to be used as a plain one", When::fix, unwrap_averaged_model},
    {"rename", "the new code uses other names", When::asked, rename_keys},
    {"weight_norm", "torch.nn.utils.parametrizations.weight_norm names its tensors original0 and original1",
     When::fix, parametrize_weight_norm},
    {"weight_norm_hooks", "torch.nn.utils.weight_norm names its tensors weight_g and weight_v", When::fix,
     unparametrize_weight_norm},
    {"spectral_norm", "torch.nn.utils.parametrizations.spectral_norm has other names for weight, u and v",
     When::fix, parametrize_spectral_norm},
    {"spectral_norm_hooks", "torch.nn.utils.spectral_norm names its tensors weight_orig, weight_u, weight_v",
     When::fix, unparametrize_spectral_norm},
    {"num_batches_tracked", "a strict load wants the counter that norms have since 0.4.1", When::fix,
     add_batch_counters},
    {"instance_norm", "InstanceNorm keeps no running statistics by default since 0.4", When::fix,
     drop_instance_statistics},
    {"in_proj", "nn.MultiheadAttention keeps the projections of q, k and v in one tensor", When::fix,
     join_projections},
    {"qkv_proj", "other attention modules keep the projections of q, k and v apart", When::fix,
     split_projections},
    {"flat_weights", "the weights of a recurrent net are views on one flat storage after a run on cuDNN",
     When::fix, separate_flat_weights},
    {"rng_states", "generators of 2.x refuse the states of 1.x that have another size", When::fix,
     convert_rng_states},
    {"amp", "apex.amp is gone, torch.amp.GradScaler took its place", When::layout, convert_amp},
    {"fp16_optimizer", "apex's FP16_Optimizer is gone; what it wrapped is an optimizer of torch",
     When::layout, unwrap_fp16_optimizers},
    {"fp32_masters", "autocast keeps parameters in float32, as the masters are", When::asked,
     put_masters_into_model},
    {"scaler", "an enabled GradScaler refuses the empty state of a disabled one", When::layout,
     empty_scalers_to_none},
    {kRecipe, "the project's new code reads another layout", When::asked, apply_recipe},
    {"cyclic_lr", "CyclicLR of 2.x wants _scale_fn_custom and finds its own function by the mode",
     When::layout, convert_cyclic_lr},
    {"one_cycle_lr", "OneCycleLR of 2.x names its curve and lists its phases", When::layout,
     convert_one_cycle_lr},
    {"lambda_lr", "functions are not in a checkpoint", When::layout, convert_lambda_lr},
    {"optimizer_ids", "PyTorch 1.6 and later number parameters by their position", When::layout,
     number_parameters},
    {"apex_traces", "apex is not there to load what names it", When::layout, remark_apex_traces},
    {"optimizer_steps", "PyTorch 2.x keeps step counts as tensors", When::layout, convert_steps},
    {"integer_steps", "PyTorch before 1.12 counts steps in integers", When::layout, steps_to_integers},
    {"optimizer_groups", "PyTorch 2.x has options that older groups lack", When::layout, complete_groups},
    {"optimizer_history", "LBFGS of 1.2 and later appends to a list that was filled with None before",
     When::layout, shorten_lbfgs_history},
    {"optimizer_names", "2.x matches states to parameters by their number only", When::layout,
     name_parameters},
    {"old_rng_states", "a state that stays as it is stops set_rng_state", When::layout, remark_rng_states},
    {"devices", "a tag of a device that is not there stops torch.load", When::needed_to_load, devices_to_cpu},
    {"lazy_bits", "few readers know that a view may be conjugated or negated when it is read", When::layout,
     resolve_lazy_bits},
    {"compact", "torch.save wrote whole storages for small views", When::layout, compact_storages},
    {"newer", "the first releases of 2.x know fewer kinds of values", When::needed_to_load,
     remark_newer_values},
    {"recipe_result", "what a recipe promises must hold", When::asked, check_recipe_result},
});

bool is_fixed(const Rule& rule, const RuleOptions& options) {
  return std::any_of(options.fixes.begin(), options.fixes.end(),
                     [&](const Fix& fix) { return fix.rule == rule.id; });
}

bool called_for(const Rule& rule, const RuleOptions& options) {
  if (std::find(options.without.begin(), options.without.end(), rule.id) != options.without.end())
    return false;
  if (rule.when == When::fix) return is_fixed(rule, options);
  return rule.when != When::layout || options.layout == Layout::clean;
}

}  // namespace

std::span<const Rule> rules() { return kRules; }

const Rule* find_rule(std::string_view id) {
  const auto found =
      std::find_if(kRules.begin(), kRules.end(), [&](const Rule& rule) { return rule.id == id; });
  return found == kRules.end() ? nullptr : &*found;
}

std::string_view when_name(When when) {
  switch (when) {
    case When::needed_to_load:
      return "always";
    case When::layout:
      return "layout clean";
    case When::asked:
      return "its option";
    case When::fix:
      return "--fix";
  }
  return "";
}

void apply_rules(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log) {
  const NodeId source_root = checkpoint.values.root();
  bool notes_logged = false;
  bool moves_to_come = options.recipe != nullptr;  // notes have the paths of what is written
  for (const Rule& rule : kRules) {
    if (!notes_logged && !moves_to_come && rule.when != When::asked && rule.when != When::fix) {
      log_notes(checkpoint, source_root, log);
      notes_logged = true;
    }
    if (called_for(rule, options)) rule.apply(checkpoint, options, log);
    if (rule.id == kRecipe) moves_to_come = false;
  }
}

}  // namespace ferry::convert
