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

// `amp` (apex) becomes `scaler` (torch.amp.GradScaler), or None where the scale was static.
void convert_amp(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// Numbers parameters of optimizers in the order of the groups, where they are named by object ids.
void number_parameters(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// Step counts in the states of known optimizers become the 0-dim float32 tensors that 2.x keeps.
void convert_steps(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// Gives groups of known optimizers the options that later versions of PyTorch added.
void complete_groups(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// Tags every storage cpu: the bytes are the same, and a machine without that device can load them.
void devices_to_cpu(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// Drops the bytes of storages that no tensor refers to.
void compact_storages(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

// Changes nothing: says which values the weights_only of the first 2.x releases does not know.
void remark_newer_values(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

}  // namespace ferry::convert
