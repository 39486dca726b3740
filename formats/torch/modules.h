// Modules that are kept whole in a pickle → their state_dict().  None of the classes is needed: parameters,
// buffers and children are in the attributes that were pickled, in the order in which state_dict() goes.
//
// A module may be pickled before its children are complete (a child that holds its parent), and be the child
// of several.  So a module becomes an empty dict when it is met, and the dicts that the root still reaches
// are filled when every call of the pickle is understood.
#pragma once

#include <unordered_set>
#include <vector>

#include "formats/torch/module_walk.h"

namespace ferry::torch {

class Modules {
 public:
  explicit Modules(python::Context& context) : table_(context), graph_(context.graph()) {}

  // A handler for python::interpret_calls: true when the call makes a module.
  bool take(python::Call& call);

  // Fills the state_dicts, describes their modules in Checkpoint::modules and notes what they leave out.
  // Throws Code::bad_call for a module inside itself, Code::limit_exceeded where shared modules would give
  // more names than the file has room for.
  void settle();

 private:
  void note_losses(const ModuleWalk& walk);
  bool leads_to_weights(const ModuleWalk& walk, NodeId from, const std::unordered_set<NodeId>& kept);

  ModuleTable table_;
  ValueGraph& graph_;
  std::vector<bool> searched_;  // by node: what was looked at for losses
};

}  // namespace ferry::torch
