#include "formats/torch/module_walk.h"

#include "formats/torch/module_classes.h"
#include "src/core/error.h"

namespace ferry::torch {
namespace {

constexpr std::uint64_t kChargeBase = std::uint64_t{1} << 20;
constexpr std::uint64_t kChargePerNode = 64;
constexpr std::uint64_t kChargeAtLeast = 32;
constexpr std::uint64_t kEntrySize = 8;

// What torch keeps in every module for itself, and what says nothing when it is empty.
bool is_bookkeeping(const ValueGraph& graph, std::string_view name, NodeId value) {
  if (name == "_parameters" || name == "_buffers" || name == "_modules" || name == "_backend") return true;
  if (!name.starts_with("_")) return false;
  if (graph.kind(value) == Kind::none) return true;
  return graph.is_container(value) && graph.items(value).empty();
}

}  // namespace

std::vector<Entry> entries_of(const ValueGraph& graph, NodeId dict) {
  std::vector<Entry> all;
  if (dict == kNoNode || graph.kind(dict) != Kind::dict) return all;
  all.reserve(graph.entry_count(dict));
  for (std::size_t i = 0; i < graph.entry_count(dict); ++i) all.push_back(graph.entry(dict, i));
  return all;
}

void ModuleTable::charge(std::size_t size, NodeId object) {
  charged += size + kChargeAtLeast;
  if (charged > kChargeBase + kChargePerNode * node_count)
    throw Error(Code::limit_exceeded,
                "modules hold each other so often that their names would take more than " +
                    std::to_string(charged) + " bytes")
        .at(graph.at(object));
}

ModuleWalk::ModuleWalk(ModuleTable& table, NodeId object)
    : table_(table),
      graph_(table.graph),
      object_(object),
      metadata_(table.graph.make_dict(DictFlavor::ordered)) {}

void ModuleWalk::run() {
  enter(object_);
  while (!stack_.empty()) {
    Frame& frame = stack_.back();
    prefix_.resize(frame.prefix);
    if (frame.next == frame.children.size()) {
      table_.on_the_way[frame.module] = false;
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

void ModuleWalk::visit(const Entry& child) {
  prefix_ += graph_.as_text(child.key).value_or("?");
  if (!table_.context.modules.contains(child.value)) {
    // A class with a __getstate__ of its own: nobody knows what its state_dict() would be.
    put("", child.value);
    table_.context.checkpoint.note(
        object_, Code::object_to_data,
        "module " + prefix_ + " was pickled in a form of its own, which stands under its name");
    return;
  }
  prefix_ += '.';
  enter(child.value);
}

void ModuleWalk::enter(NodeId node) {
  const std::uint32_t index = table_.context.modules.at(node);
  const Module& module = table_.modules[index];
  if (table_.on_the_way[index])
    throw Error(Code::bad_call, module.class_name + " holds itself as a submodule").at(graph_.at(node));
  table_.on_the_way[index] = true;
  add_metadata(module);
  add_tensors(module.state, "_parameters", kNoNode);
  add_tensors(module.state, "_buffers", graph_.find(module.state, "_non_persistent_buffers_set"));
  for (const OwnEntry& own : own_entries(table_.context.checkpoint, module.class_name, module.state))
    put(own.name, own.value);
  describe(module, index);
  stack_.push_back({index, prefix_.size(), 0, entries(graph_.find(module.state, "_modules"))});
}

std::string ModuleWalk::path() const { return prefix_.substr(0, prefix_.size() - (prefix_.empty() ? 0 : 1)); }

// Under `name` in the module that the prefix names.
void ModuleWalk::put(std::string_view name, NodeId value) {
  const std::string key = prefix_ + std::string(name);
  table_.charge(key.size(), object_);
  const NodeId pair[2] = {graph_.make_text(key), value};
  graph_.append(object_, pair);
}

void ModuleWalk::add_tensors(NodeId state, std::string_view part, NodeId transient) {
  const std::unordered_set<std::string> skipped = names_in(transient);
  for (const auto& [key, value] : entries(graph_.find(state, part))) {
    const std::string name(graph_.as_text(key).value_or("?"));
    if (graph_.kind(value) != Kind::none && !skipped.contains(name)) put(name, value);
  }
}

void ModuleWalk::add_metadata(const Module& module) {
  const NodeId local = graph_.make_dict(DictFlavor::plain);
  graph_.set_entry(local, "version",
                   graph_.make_integer(module_version(graph_, module.class_name, module.state)));
  for (const Entry& hook : entries(graph_.find(module.state, "_state_dict_hooks")))
    add_hook(module, hook.value, local);
  const std::string key = path();
  table_.charge(key.size(), object_);
  const NodeId pair[2] = {graph_.make_text(key), local};
  graph_.append(metadata_, pair);
}

// spectral_norm adds its version by a hook, which is an instance {fn: {name: "weight", …}}.
void ModuleWalk::add_hook(const Module& module, NodeId hook, NodeId local) {
  const auto known = table_.hooks.find(hook);
  const NodeId function = graph_.find(hook, "fn");
  const NodeId name = function == kNoNode ? kNoNode : graph_.find(function, "name");
  if (known != table_.hooks.end() && known->second.ends_with("spectral_norm.SpectralNormStateDictHook") &&
      name != kNoNode && graph_.as_text(name)) {
    const NodeId versions = graph_.make_dict(DictFlavor::plain);
    graph_.set_entry(versions, std::string(*graph_.as_text(name)) + ".version", graph_.make_integer(1));
    graph_.set_entry(local, "spectral_norm", versions);
    return;
  }
  if (hooked_.insert(module.class_name).second)
    table_.context.checkpoint.note(
        object_, Code::function_lost,
        module.class_name + " has a hook that could have changed its state_dict(); it is not run");
}

void ModuleWalk::describe(const Module& module, std::uint32_t index) {
  ModuleInfo info{object_, path(), module.class_name, {}};
  for (const auto& [key, value] : entries(module.state))
    if (const auto name = graph_.as_text(key); name && !is_bookkeeping(graph_, *name, value))
      info.attributes.emplace_back(key, named_if_module(value));
  table_.context.checkpoint.modules.push_back(std::move(info));
  if (inside_.insert(index).second) visited_.emplace_back(path(), index);
}

// A module that is an attribute (a child that knows its parent) is described by its class.
NodeId ModuleWalk::named_if_module(NodeId value) {
  const auto module = table_.context.modules.find(value);
  if (module == table_.context.modules.end()) return value;
  const std::string& class_name = table_.modules[module->second].class_name;
  const std::size_t dot = class_name.rfind('.');
  if (dot == std::string::npos) return value;
  return graph_.make_global(graph_.make_text(class_name.substr(0, dot)),
                            graph_.make_text(class_name.substr(dot + 1)), graph_.at(value));
}

// Entries that are looked at are paid for like names: a module may be visited again and again.
std::vector<Entry> ModuleWalk::entries(NodeId dict) {
  std::vector<Entry> all = entries_of(graph_, dict);
  table_.charge(kEntrySize * all.size(), object_);
  return all;
}

std::unordered_set<std::string> ModuleWalk::names_in(NodeId set) {
  std::unordered_set<std::string> names;
  if (set == kNoNode) return names;
  const auto items = graph_.items(set);
  table_.charge(kEntrySize * items.size(), object_);
  for (const NodeId item : items)
    if (const auto name = graph_.as_text(item)) names.emplace(*name);
  return names;
}

}  // namespace ferry::torch
