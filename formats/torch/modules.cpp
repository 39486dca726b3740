#include "formats/torch/modules.h"

#include <algorithm>
#include <map>
#include <span>

#include "formats/torch/module_classes.h"
#include "src/core/error.h"

namespace ferry::torch {
namespace {

using python::Call;

// Names are written out for every module that holds a module: what they may take is bounded by the file.
constexpr std::uint64_t kNamesSizeBase = std::uint64_t{1} << 20;
constexpr std::uint64_t kNamesSizePerNode = 64;
constexpr std::uint64_t kNameOverhead = 32;

constexpr std::size_t kConvolutionParts = 15;

bool is_module_state(const ValueGraph& graph, NodeId state) {
  for (const std::string_view part : {"_parameters", "_buffers", "_modules"})
    if (graph.find(state, part) == kNoNode) return false;
  return true;
}

// The attributes of a module: the state itself, or the first of (attributes, slots).
NodeId find_state(const Call& call) {
  const ValueGraph& graph = call.graph;
  if (!call.instance || call.state == kNoNode) return kNoNode;
  if (is_module_state(graph, call.state)) return call.state;
  const auto parts = graph.items(call.state);
  if (graph.kind(call.state) != Kind::tuple) return kNoNode;
  if (parts.size() == 2 && is_module_state(graph, parts[0])) return parts[0];
  if (parts.size() == kConvolutionParts && is_quantized_convolution(call.class_name())) return call.state;
  return kNoNode;
}

std::vector<Entry> entries_of(const ValueGraph& graph, NodeId dict) {
  std::vector<Entry> all;
  if (dict == kNoNode || graph.kind(dict) != Kind::dict) return all;
  all.reserve(graph.entry_count(dict));
  for (std::size_t i = 0; i < graph.entry_count(dict); ++i) all.push_back(graph.entry(dict, i));
  return all;
}

// What torch keeps in every module for itself, and what says nothing when it is empty.
bool is_bookkeeping(const ValueGraph& graph, std::string_view name, NodeId value) {
  if (name == "_parameters" || name == "_buffers" || name == "_modules" || name == "_backend") return true;
  if (!name.starts_with("_")) return false;
  if (graph.kind(value) == Kind::none) return true;
  return graph.is_container(value) && graph.items(value).empty();
}

}  // namespace

bool Modules::take(Call& call) {
  note_hooks(call);
  const NodeId state = find_state(call);
  if (state == kNoNode) return false;
  const auto index = static_cast<std::uint32_t>(modules_.size());
  modules_.push_back({state, call.class_name()});
  call.become(graph_.make_dict(DictFlavor::ordered, graph_.at(call.id)));
  context_.modules.emplace(call.id, index);
  call.note_data("its state_dict");
  return true;
}

// spectral_norm adds its version to the _metadata of its module by a hook.
void Modules::note_hooks(Call& call) {
  if (call.instance && call.name().ends_with("StateDictHook")) hooks_.emplace(call.id, call.class_name());
}

// One whole object, gone through as state_dict() goes through it.
class Modules::Walk {
 public:
  Walk(Modules& all, NodeId object)
      : all_(all), graph_(all.graph_), object_(object), metadata_(graph_.make_dict(DictFlavor::ordered)) {
    on_the_way_.resize(all.modules_.size());
    inside_.resize(all.modules_.size());
  }

  void run() {
    enter(object_);
    while (!stack_.empty()) {
      Frame& frame = stack_.back();
      prefix_.resize(frame.prefix);
      if (frame.next == frame.children.size()) {
        on_the_way_[frame.module] = false;
        stack_.pop_back();
        continue;
      }
      const Entry child = frame.children[frame.next++];
      if (graph_.kind(child.value) != Kind::none) visit(child);
    }
    const NodeId attributes = graph_.make_dict(DictFlavor::plain);
    graph_.set_entry(attributes, "_metadata", metadata_);
    graph_.set_attributes(object_, attributes);
  }

  NodeId object() const { return object_; }
  bool holds_module(std::uint32_t index) const { return inside_[index]; }
  // The state of every module that was visited, once, with the path of the first visit.
  const std::vector<std::pair<std::string, std::uint32_t>>& visited() const { return visited_; }

 private:
  struct Frame {
    std::uint32_t module;
    std::size_t prefix;  // characters of prefix_ that name the module, with the dot
    std::size_t next = 0;
    std::vector<Entry> children;
  };

  void visit(const Entry& child) {
    prefix_ += graph_.as_text(child.key).value_or("?");
    if (!all_.context_.modules.contains(child.value)) {
      // A class with a __getstate__ of its own: nobody knows what its state_dict() would be.
      put("", child.value);
      all_.context_.checkpoint.note(
          object_, Code::object_to_data,
          "module " + prefix_ + " was pickled in a form of its own, which stands under its name");
      return;
    }
    prefix_ += '.';
    enter(child.value);
  }

  void enter(NodeId node) {
    const std::uint32_t index = all_.context_.modules.at(node);
    const Module& module = all_.modules_[index];
    if (on_the_way_[index])
      throw Error(Code::bad_call, module.class_name + " holds itself as a submodule").at(graph_.at(node));
    on_the_way_[index] = true;
    add_metadata(module);
    add_tensors(module.state, "_parameters", kNoNode);
    add_tensors(module.state, "_buffers", find(module.state, "_non_persistent_buffers_set"));
    for (const OwnEntry& own : own_entries(all_.context_.checkpoint, module.class_name, module.state))
      put(own.name, own.value);
    describe(module, index);
    stack_.push_back({index, prefix_.size(), 0, entries_of(graph_, find(module.state, "_modules"))});
  }

  NodeId find(NodeId state, std::string_view name) const { return graph_.find(state, name); }

  std::string path() const { return prefix_.substr(0, prefix_.size() - (prefix_.empty() ? 0 : 1)); }

  // Under `name` in the module that the prefix names.
  void put(std::string_view name, NodeId value) {
    const std::string key = prefix_ + std::string(name);
    all_.charge(key.size(), object_);
    const NodeId pair[2] = {graph_.make_text(key), value};
    graph_.append(object_, pair);
  }

  void add_tensors(NodeId state, std::string_view part, NodeId transient) {
    for (const auto& [key, value] : entries_of(graph_, find(state, part))) {
      const auto name = graph_.as_text(key);
      if (graph_.kind(value) == Kind::none || is_among(transient, name)) continue;
      put(name.value_or("?"), value);
    }
  }

  bool is_among(NodeId set, const std::optional<std::string_view>& name) const {
    if (set == kNoNode || !name) return false;
    const auto items = graph_.items(set);
    return std::any_of(items.begin(), items.end(), [&](NodeId item) { return graph_.as_text(item) == name; });
  }

  void add_metadata(const Module& module) {
    const NodeId local = graph_.make_dict(DictFlavor::plain);
    graph_.set_entry(local, "version",
                     graph_.make_integer(module_version(graph_, module.class_name, module.state)));
    for (const auto& [key, hook] : entries_of(graph_, find(module.state, "_state_dict_hooks")))
      add_hook(module, hook, local);
    const std::string key = path();
    all_.charge(key.size(), object_);
    const NodeId pair[2] = {graph_.make_text(key), local};
    graph_.append(metadata_, pair);
  }

  // Source: torch/nn/utils/spectral_norm.py, SpectralNormStateDictHook.
  void add_hook(const Module& module, NodeId hook, NodeId local) {
    const auto known = all_.hooks_.find(hook);
    const NodeId function = find(hook, "fn");
    const NodeId name = function == kNoNode ? kNoNode : find(function, "name");
    if (known != all_.hooks_.end() && known->second.ends_with("spectral_norm.SpectralNormStateDictHook") &&
        name != kNoNode && graph_.as_text(name)) {
      const NodeId versions = graph_.make_dict(DictFlavor::plain);
      graph_.set_entry(versions, std::string(*graph_.as_text(name)) + ".version", graph_.make_integer(1));
      graph_.set_entry(local, "spectral_norm", versions);
      return;
    }
    all_.context_.checkpoint.note(
        object_, Code::function_lost,
        module.class_name + " has a hook that could have changed its state_dict(); it is not run");
  }

  void describe(const Module& module, std::uint32_t index) {
    ModuleInfo info{object_, path(), module.class_name, {}};
    for (const auto& [key, value] : entries_of(graph_, module.state))
      if (const auto name = graph_.as_text(key); name && !is_bookkeeping(graph_, *name, value))
        info.attributes.emplace_back(key, named_if_module(value));
    all_.context_.checkpoint.modules.push_back(std::move(info));
    if (!inside_[index]) visited_.emplace_back(path(), index);
    inside_[index] = true;
  }

  // A module that is an attribute (a child that knows its parent) is described by its class.
  NodeId named_if_module(NodeId value) {
    const auto module = all_.context_.modules.find(value);
    if (module == all_.context_.modules.end()) return value;
    const std::string_view class_name = all_.modules_[module->second].class_name;
    const std::size_t dot = class_name.rfind('.');
    if (dot == std::string_view::npos) return value;
    return graph_.make_global(graph_.make_text(class_name.substr(0, dot)),
                              graph_.make_text(class_name.substr(dot + 1)), graph_.at(value));
  }

  Modules& all_;
  ValueGraph& graph_;
  NodeId object_, metadata_;
  std::string prefix_;  // "layer1.0."
  std::vector<Frame> stack_;
  std::vector<bool> on_the_way_, inside_;  // by module
  std::vector<std::pair<std::string, std::uint32_t>> visited_;
};

void Modules::charge(std::size_t name_size, NodeId object) {
  names_size_ += name_size + kNameOverhead;
  if (names_size_ > kNamesSizeBase + kNamesSizePerNode * node_count_)
    throw Error(Code::limit_exceeded, "modules hold each other so often that their names would take " +
                                          std::to_string(names_size_) + " bytes and more")
        .at(graph_.at(object));
}

void Modules::settle() {
  if (modules_.empty()) return;
  node_count_ = graph_.node_count();
  std::vector<bool> reached;
  std::vector<NodeId> stack{graph_.root()}, parts;
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    if (id >= reached.size()) reached.resize(graph_.node_count());
    if (reached[id]) continue;
    reached[id] = true;
    if (context_.modules.contains(id)) {
      Walk walk(*this, id);
      walk.run();
      note_what_is_lost(walk);
    }
    parts.clear();
    graph_.children(id, parts);
    stack.insert(stack.end(), parts.rbegin(), parts.rend());
  }
}

// Tensors and modules that hang on plain attributes are no part of a state_dict(): what would be lost is
// said. Every value is searched once, for the first attribute that leads to it.
void Modules::note_what_is_lost(const Walk& walk) {
  std::vector<bool> kept(graph_.node_count());
  for (const NodeId item : graph_.items(walk.object())) kept[item] = true;
  seen_.resize(graph_.node_count());
  std::map<std::string, std::vector<std::string>, std::less<>> lost;  // what → modules
  for (const auto& [path, index] : walk.visited()) {
    const std::string owner = path.empty() ? modules_[index].class_name : path;
    const auto search = [&](std::string_view kind, const Entry& entry) {
      if (leads_to_weights(walk, entry.value, kept))
        lost[std::string(kind) + std::string(graph_.as_text(entry.key).value_or("?"))].push_back(owner);
    };
    const NodeId state = modules_[index].state;
    for (const Entry& entry : entries_of(graph_, graph_.find(state, "_buffers"))) search("buffer ", entry);
    for (const Entry& entry : entries_of(graph_, state))
      if (const auto name = graph_.as_text(entry.key);
          name != "_parameters" && name != "_modules" && name != "_buffers")
        search("attribute ", entry);
  }
  for (const auto& [what, owners] : lost) {
    const std::size_t more = owners.size() - 1;
    std::string where = owners.front();
    if (more > 0) where += " and " + std::to_string(more) + (more == 1 ? " more module" : " more modules");
    context_.checkpoint.note(walk.object(), Code::lost_value,
                             what + " of " + where + " is no part of state_dict() and is left out");
  }
}

bool Modules::leads_to_weights(const Walk& walk, NodeId from, const std::vector<bool>& kept) {
  bool found = false;
  std::vector<NodeId> stack{from}, parts;
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    if (id >= seen_.size() || seen_[id]) continue;
    seen_[id] = true;
    if (const auto module = context_.modules.find(id); module != context_.modules.end()) {
      found = found || !walk.holds_module(module->second);
      continue;
    }
    found = found || (graph_.kind(id) == Kind::tensor && !kept[id]);
    parts.clear();
    graph_.children(id, parts);
    stack.insert(stack.end(), parts.rbegin(), parts.rend());
  }
  return found;
}

}  // namespace ferry::torch
