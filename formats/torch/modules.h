// Modules that are kept whole in a pickle → their state_dict().  None of the classes is needed: parameters,
// buffers and children are in the attributes that were pickled, in the order in which state_dict() goes.
//
// A module may be pickled before its children are complete (a child that holds its parent), and be the child
// of several.  So a module becomes an empty dict when it is met, and the dicts that the root still reaches
// are filled when every call of the pickle is understood.
//
// Source: torch/nn/modules/module.py (state_dict, _save_to_state_dict), 0.1.10 … 2.13.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "formats/python/interpret.h"

namespace ferry::torch {

// One module as it was pickled.
struct Module {
  NodeId state;  // its attributes: a dict, or the tuple of a quantized convolution
  std::string class_name;
};

class Modules {
 public:
  explicit Modules(python::Context& context) : context_(context), graph_(context.graph()) {}

  // A handler for python::interpret_calls: true when the call makes a module.
  bool take(python::Call& call);

  // Fills the state_dicts and describes their modules in Checkpoint::modules.  Throws Code::bad_call for a
  // module inside itself, Code::limit_exceeded where shared modules would give more names than the file has
  // room for.
  void settle();

 private:
  class Walk;

  void note_hooks(python::Call& call);
  void note_what_is_lost(const Walk& walk);
  bool leads_to_weights(const Walk& walk, NodeId from, const std::vector<bool>& kept);
  void charge(std::size_t name_size, NodeId object);  // throws Code::limit_exceeded

  python::Context& context_;
  ValueGraph& graph_;
  std::vector<Module> modules_;
  std::unordered_map<NodeId, std::string> hooks_;  // instances that a _state_dict_hooks may hold, by class
  std::uint64_t node_count_ = 0;                   // of the pickle
  std::uint64_t names_size_ = 0;                   // characters of all keys so far
  std::vector<bool> seen_;                         // by the search for what is lost
};

}  // namespace ferry::torch
