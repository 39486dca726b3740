// One function a rule, each in the file of its name; rules.cpp has the table and says in which order they
// run.
#pragma once

#include "src/convert/rule.h"

namespace ferry::convert {

// Makes the subtree at a dotted path the root.  A key may hold dots itself: the longest key that fits is
// tried first. Throws Code::nothing_selected.
void select_subtree(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// Drops entries of dicts whose value is a tensor and whose dotted path no include matches or some exclude
// matches. Tensors in lists and tuples stay, as their position is what they are found by.  A dict with
// several parents is judged by its first path.  Throws Code::nothing_selected when no tensor entry is left.
void filter_tensors(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// Rewrites the keys of state_dicts (see state_dict.h) with regular expressions, one after the other.  A
// pattern is searched in the key as it stands in its dict, without the path of the dict, and every match is
// replaced; what an optimizer keeps for a parameter is left alone.  `_metadata`, whose keys are paths of
// modules, follows where all entries of a module moved to one new path; elsewhere its keys stay.  Throws
// Code::bad_usage for a pattern that is none, Code::key_collision.
void rename_keys(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// Takes wrappers' prefixes off state_dicts whose every key carries them, and off their `_metadata` as
// torch.nn.modules.utils.consume_prefix_in_state_dict_if_present does.
void strip_prefixes(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// --- What was asked for by --fix: each looks at every state_dict, changes what it is sure of, and says what
// it left alone and why.

// `_orig_mod.`, `_fsdp_wrapped_module.`, `_fpw_module.`, `_checkpoint_wrapped_module.` go, wherever they are
// in a name.  Throws Code::key_collision.
void unwrap_inner_modules(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// The state of a swa_utils.AveragedModel becomes that of the model: `module.` and `n_averaged` go.
void unwrap_averaged_model(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// weight_g, weight_v ↔ parametrizations.weight.original0, original1; the same for other names than `weight`.
void parametrize_weight_norm(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);
void unparametrize_weight_norm(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// weight_orig, weight_u, weight_v ↔ parametrizations.weight.original, .0._u, .0._v.
void parametrize_spectral_norm(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);
void unparametrize_spectral_norm(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// `num_batches_tracked` = 0 where running statistics lack it, with version 2 in `_metadata`.
void add_batch_counters(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// Running statistics of norms without weights, or of those that the fix names, go.
void drop_instance_statistics(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// q_proj, k_proj, v_proj → in_proj_weight, in_proj_bias, and back (as views).
void join_projections(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);
void split_projections(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// Weights of recurrent nets get storages of their own.
void separate_flat_weights(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// States of random number generators get the size that 2.x takes; whoever asks for it takes every such tensor
// for one.
void convert_rng_states(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// --- Loss scalers and what apex left

// `amp` (apex) becomes `scaler` (torch.amp.GradScaler), or None where the scale was static.
void convert_amp(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// FP16_Optimizer states (apex.fp16_utils, apex.contrib) become the optimizer state they hold, with `scaler`
// and `fp32_masters` beside it.
void unwrap_fp16_optimizers(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// `fp32_masters` and `master_params` take the places of the parameters that they are masters of, found by
// order and shape; where that leaves a doubt, nothing moves.
void put_masters_into_model(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// {} under the name of a scaler, the state of a disabled GradScaler, becomes None.
void empty_scalers_to_none(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// Changes nothing: says where the checkpoint names apex, and what takes its place.
void remark_apex_traces(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// --- Schedulers: states of 1.x as their classes in 2.x load them

void convert_cyclic_lr(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);
void convert_one_cycle_lr(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);
void convert_lambda_lr(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// --- Optimizers

// Numbers parameters of optimizers in the order of the groups, where they are named by object ids.
void number_parameters(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// Step counts in the states of known optimizers become the 0-dim float32 tensors that 2.x keeps.
void convert_steps(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// The inverse, for every optimizer, where RuleOptions::integer_steps asks for it.
void steps_to_integers(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// Gives groups of known optimizers the options that later versions of PyTorch added.
void complete_groups(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// The list `ro` of LBFGS ends where its history ends.
void shorten_lbfgs_history(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// Changes nothing: says which parameters the numbers of an optimizer are, and which have no partner.
void name_parameters(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// --- Files

// Changes nothing: says which states of generators 2.x refuses for their size.
void remark_rng_states(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// Tags every storage cpu: the bytes are the same, and a machine without that device can load them.
void devices_to_cpu(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// Drops the bytes of storages that no tensor refers to.

// Conjugated and negated views get storages of their own, with the numbers that they show.
void resolve_lazy_bits(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);
void compact_storages(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// Changes nothing: says which values the weights_only of the first 2.x releases does not know.
void remark_newer_values(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// Throws Code::recipe_mismatch where the file is none of those that the recipe is for.
void check_recipe_shape(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// Takes the steps of the recipe in order.  Throws Code::recipe_mismatch, Code::key_collision.
void apply_recipe(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// Throws Code::recipe_mismatch where the result is not what the recipe requires of it.
void check_recipe_result(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

}  // namespace ferry::convert
