// One whole object, gone through as state_dict() goes through it: names, _metadata and the description of
// every module.
//
// Source: torch/nn/modules/module.py (state_dict, _save_to_state_dict), torch/nn/utils/spectral_norm.py
// (SpectralNormStateDictHook), 0.1.10 … 2.13.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "formats/python/interpret.h"

namespace ferry::torch {

// One module as it was pickled.
struct Module {
  NodeId state;  // its attributes: a dict, or the tuple of a quantized convolution
  std::string class_name;
};

// The modules of one pickle.
struct ModuleTable {
  explicit ModuleTable(python::Context& shared) : context(shared), graph(shared.graph()) {}

  // Names are written out for every module that holds a module, and a module may be held by many: what that
  // may cost is bounded by the size of the file.  Throws Code::limit_exceeded.
  void charge(std::size_t size, NodeId object);

  python::Context& context;
  ValueGraph& graph;
  std::vector<Module> modules;                    // by the index in Context::modules
  std::unordered_map<NodeId, std::string> hooks;  // instances that a _state_dict_hooks may hold, by class
  std::vector<bool> on_the_way;                   // by module: from a whole object to what is looked at
  std::uint64_t node_count = 0;                   // of the pickle
  std::uint64_t charged = 0;
};

class ModuleWalk {
 public:
  // `object` is an empty dict in Context::modules.
  ModuleWalk(ModuleTable& table, NodeId object);

  // Fills the dict and adds to Checkpoint::modules.  Throws Code::bad_call for a module inside itself.
  void run();

  NodeId object() const { return object_; }
  bool holds_module(std::uint32_t index) const { return inside_.contains(index); }
  // Every module, once, with the path of its first visit.
  const std::vector<std::pair<std::string, std::uint32_t>>& visited() const { return visited_; }

 private:
  struct Frame {
    std::uint32_t module;
    std::size_t prefix;  // characters of prefix_ that name the module, with the dot
    std::size_t next = 0;
    std::vector<Entry> children;
  };

  void visit(const Entry& child);
  void enter(NodeId node);
  void put(std::string_view name, NodeId value);
  void add_tensors(NodeId state, std::string_view part, NodeId transient);
  void add_metadata(const Module& module);
  void add_hook(const Module& module, NodeId hook, NodeId local);
  void describe(const Module& module, std::uint32_t index);
  NodeId named_if_module(NodeId value);
  std::vector<Entry> entries(NodeId dict);
  std::unordered_set<std::string> names_in(NodeId set);
  std::string path() const;

  ModuleTable& table_;
  ValueGraph& graph_;
  NodeId object_, metadata_;
  std::string prefix_;  // "layer1.0."
  std::vector<Frame> stack_;
  std::unordered_set<std::uint32_t> inside_;  // modules
  std::unordered_set<std::string> hooked_;    // classes that were named already
  std::vector<std::pair<std::string, std::uint32_t>> visited_;
};

// Key and value of every entry; none for what is no dict.
std::vector<Entry> entries_of(const ValueGraph& graph, NodeId dict);

}  // namespace ferry::torch
