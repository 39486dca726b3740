// Finding dicts in a checkpoint, and editing their entries.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/core/value.h"

namespace ferry::convert {

// A dict that the root reaches.
struct Place {
  NodeId dict;
  NodeId value;          // under the key that was looked for
  std::string path;      // of the dict
  NodeId parent;         // of the first visit; kNoNode for the root
  std::string_view key;  // that was looked for and found
};

// Every dict with an entry under one of these text keys, parents first, once for each of its keys.  Costs one
// look at every key where there is none.
std::vector<Place> find_dicts(const ValueGraph& graph, std::span<const std::string_view> keys);
inline std::vector<Place> find_dicts(const ValueGraph& graph, std::string_view key) {
  return find_dicts(graph, std::span(&key, 1));
}

// Every state_dict (see state_dict.h) that is not what an optimizer keeps for a parameter; `value` is the
// dict itself.
std::vector<Place> find_state_dicts(const ValueGraph& graph);

void remove_entries(ValueGraph& graph, NodeId dict, std::span<const std::string_view> keys);

// Adds entries behind that of `key`, in order; at the end where there is no such key.
void insert_behind(ValueGraph& graph, NodeId dict, std::string_view key,
                   std::span<const std::pair<std::string, NodeId>> entries);

bool is_list_of_tensors(const ValueGraph& graph, NodeId node);

}  // namespace ferry::convert
