// Whether the state of an optimizer fits the parameters of a model: what torch.optim would trip over at
// load_state_dict, or at the next step.
//
// load_state_dict itself compares only the number of groups and their sizes; shapes that do not fit and keys
// that are missing show at the next step, or never.  A checkpoint does not say which parameter is which, so
// parameters and states meet by shape: in the order of the model where that works, else one to one in any
// order.  Sources: torch/optim/*.py of 2.13.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/checkpoint.h"

namespace ferry::structure {

// {state: {parameter: {…}}, param_groups: [{params: […], …}]}: where the two are.
struct OptimizerParts {
  NodeId state = kNoNode, groups = kNoNode;
  std::string path;  // of the dict that holds both
};

struct Misfit {
  std::string path;  // "optimizer.state.3.exp_avg"
  std::string what;  // "its shape [8, 3] fits no parameter of the model"
};

struct OptimizerFit {
  std::string kind;            // "Adam or AdamW"; empty when it is no class of torch.optim
  std::size_t parameters = 0;  // of all groups
  std::size_t states = 0;
  std::string model;       // path of the state_dict it was compared with; see `has_model`
  bool has_model = false;  // there is one: else the states were only compared with themselves
  bool in_order = false;   // the shapes come in the order of the model
  std::vector<Misfit> misfits;
  std::vector<std::string> remarks;  // odd, but nothing that stops training

  bool fits() const { return misfits.empty(); }
};

// Parameters of the model are looked for in every dict of tensors that is not part of an optimizer; the one
// that fits best counts.
OptimizerFit judge_optimizer(const Checkpoint& checkpoint, const OptimizerParts& optimizer);

}  // namespace ferry::structure
