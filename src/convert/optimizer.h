// Optimizer states: {state: {parameter: {step, …}}, param_groups: [{params: [parameter, …], lr, …}]}.
//
// A state does not name its class, so the class is told from the keys of groups and states, by one table.
// Where two classes look alike (Adam and AdamW), the row says only what holds for both; what no row fits is
// left as it is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/value.h"

namespace ferry::convert {

// Where the step counts of parameters are, and what 2.x wants.
enum class Steps : std::uint8_t {
  to_tensors,  // in the state of each parameter or, by apex, in the group; 0-dim float32 tensors in 2.x
  stay,        // there are none, or they are integers in 2.x too
  missing,     // nobody counted, 2.x wants a count, and its value has no effect
};

// Lists of words are written as one text, separated by blanks.
struct OptimizerKind {
  std::string_view name;
  std::string_view group_keys;  // every group has all of these
  std::string_view absent;      // and none of these
  bool only;  // and no others but what any group may have: classes of others look like these
  std::string_view state_keys;  // a state has no others
  Steps steps;
  std::string_view defaults;  // options of groups that 2.13 has and older versions had not, with their values
};

struct Optimizer {
  NodeId dict, state, groups;
  std::string path;
  const OptimizerKind* kind;  // nullptr when it is none that we know
};

// True for a dict of that form, whatever its class.
bool is_optimizer(const ValueGraph& graph, NodeId dict);

// Every optimizer state, nested anywhere.
std::vector<Optimizer> find_optimizers(const ValueGraph& graph);

std::vector<std::string_view> words(std::string_view text);

}  // namespace ferry::convert
