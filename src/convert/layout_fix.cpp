#include "src/convert/layout_fix.h"

#include "src/convert/dicts.h"
#include "src/convert/wording.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::convert {

std::string module_of(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  return std::string(name.substr(0, dot == std::string_view::npos ? 0 : dot));
}

std::string leaf_of(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  return std::string(name.substr(dot == std::string_view::npos ? 0 : dot + 1));
}

std::string join(std::string_view module, std::string_view rest) {
  return module.empty() ? std::string(rest) : std::string(module) + "." + std::string(rest);
}

NamedTensors::NamedTensors(Checkpoint& checkpoint, NodeId dict, std::string modules)
    : checkpoint_(checkpoint), dict_(dict), modules_(std::move(modules)) {
  const ValueGraph& graph = checkpoint.values;
  for (std::size_t i = 0; i < graph.entry_count(dict); ++i) {
    const auto [key, value] = graph.entry(dict, i);
    index_.emplace(graph.text(key), entries_.size());
    entries_.push_back({std::string(graph.text(key)), key, value, {}, false});
  }
}

std::vector<std::string> NamedTensors::names() const {
  std::vector<std::string> all;
  for (const Entry& entry : entries_) all.push_back(entry.name);
  return all;
}

NodeId NamedTensors::find(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  if (found == index_.end()) return kNoNode;
  const NodeId value = entries_[found->second].value;
  return checkpoint_.values.kind(value) == Kind::tensor ? value : kNoNode;
}

Shape NamedTensors::shape(std::string_view name) const {
  const auto shape = checkpoint_.shape(checkpoint_.tensors[checkpoint_.values.index(find(name))]);
  return {shape.begin(), shape.end()};
}

bool NamedTensors::in_scope(std::string_view module) const {
  return modules_.empty() || glob_match(modules_, module);
}

NamedTensors::Entry& NamedTensors::at(std::string_view name) {
  return entries_[index_.at(std::string(name))];
}

void NamedTensors::rename(std::string_view name, std::string_view after) {
  if (name == after) return;
  if (has(after)) throw Error(Code::key_collision, "two keys become " + quote(std::string(after)));
  Entry& entry = at(name);
  const std::size_t place = index_.at(std::string(name));
  index_.erase(std::string(name));
  index_.emplace(after, place);
  entry.name = after;
  entry.key = kNoNode;
}

void NamedTensors::remove(std::string_view name) {
  at(name).gone = true;
  index_.erase(std::string(name));
}

void NamedTensors::set(std::string_view name, NodeId value) { at(name).value = value; }

void NamedTensors::add_behind(std::string_view name, std::string_view added, NodeId value) {
  if (has(added)) throw Error(Code::key_collision, "two keys become " + quote(std::string(added)));
  at(name).behind.emplace_back(added, value);
}

void NamedTensors::store() {
  ValueGraph& graph = checkpoint_.values;
  std::vector<NodeId> pairs;
  for (const Entry& entry : entries_) {
    if (!entry.gone) {
      const NodeId key = entry.key == kNoNode ? graph.make_text(entry.name) : entry.key;
      pairs.insert(pairs.end(), {key, entry.value});
    }
    for (const auto& [name, value] : entry.behind) {
      const NodeId key = graph.make_text(name);
      pairs.insert(pairs.end(), {key, value});
    }
  }
  graph.set_items(dict_, pairs);
}

void NamedTensors::left(std::string_view module, std::string_view why) {
  left_.push_back((module.empty() ? "the root module" : std::string(module)) + ": " + std::string(why));
}

void fix_layout(Checkpoint& checkpoint, const RuleOptions& options, std::string_view rule,
                std::string_view noun, std::string_view what, ChangeLog& log,
                const std::function<void(NamedTensors&)>& edit) {
  for (const Fix& fix : options.fixes) {
    if (fix.rule != rule) continue;
    for (const Place& place : find_state_dicts(checkpoint.values)) {
      NamedTensors tensors(checkpoint, place.dict, fix.modules);
      edit(tensors);
      if (!tensors.all_done().empty()) {
        tensors.store();
        log.add(Code::layout_fixed, place.path,
                std::string(rule) + ": " + counted(tensors.all_done().size(), noun) + " " +
                    std::string(what) + ": " + listed(tensors.all_done()),
                tensors.all_done());
      }
      if (!tensors.all_left().empty())
        log.add(Code::fix_not_applied, place.path,
                std::string(rule) + ": left alone: " + listed(tensors.all_left()), tensors.all_left());
    }
  }
}

}  // namespace ferry::convert
