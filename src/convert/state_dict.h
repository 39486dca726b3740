// What a state_dict is, and how its keys change together with those of its `_metadata`.
//
// A state_dict is a dict with text keys of which at least one value is a tensor; the others are tensors too,
// or plain values (None, numbers, text, tuples as quantized modules keep them), or anything under a key that
// ends in
// `_extra_state`.  EMA shadows and other dicts with one tensor for each parameter are state_dicts in this
// sense.
#pragma once

#include <string_view>

#include "src/core/value.h"

namespace ferry::convert {

bool is_state_dict(const ValueGraph& graph, NodeId dict);

// The dict of module versions that torch attaches to a state_dict, or kNoNode.
NodeId metadata_of(const ValueGraph& graph, NodeId state_dict);

// Takes a prefix such as "module." off the paths of modules; the wrappers' own entries go.
void strip_metadata(ValueGraph& graph, NodeId metadata, std::string_view prefix);

}  // namespace ferry::convert
