#include "src/core/paths.h"

#include <algorithm>

#include "src/core/text.h"

namespace ferry {
namespace {

std::string plain_text(const ValueGraph& graph, NodeId id) {
  switch (graph.kind(id)) {
    case Kind::none:
      return "None";
    case Kind::boolean:
      return graph.boolean(id) ? "True" : "False";
    case Kind::integer:
    case Kind::big_integer:
      return graph.integer_text(id);
    case Kind::real:
      return real_text(graph.real(id));
    case Kind::text:
    case Kind::byte_string:
    case Kind::bytes:
    case Kind::device:
    case Kind::layout:
      return std::string(graph.text(id));
    case Kind::dtype:
      return "torch." + std::string(info(static_cast<DType>(graph.index(id))).name);
    case Kind::tuple:
      return "(…)";
    default:
      return "?";
  }
}

}  // namespace

std::string key_text(const ValueGraph& graph, NodeId key) {
  if (graph.kind(key) != Kind::tuple) return plain_text(graph, key);
  std::string text = "(";  // one level only: tuples of tuples may be deep, and a path has to stay readable
  for (const NodeId item : graph.items(key)) {
    if (text.size() > 1) text += ", ";
    text += plain_text(graph, item);
  }
  return text + ")";
}

std::string join_path(std::string_view path, std::string_view key) {
  if (path.empty() || key.empty()) return std::string(path.empty() ? key : path);
  return std::string(path) + "." + std::string(key);
}

Paths::Paths(const ValueGraph& graph, NodeId from, Reach reach) : graph_(graph) {
  std::vector<bool> seen(graph.node_count());
  std::vector<Visit> stack{{from, 0, 0}};
  while (!stack.empty()) {
    const Visit visit = stack.back();
    stack.pop_back();
    if (seen[visit.node]) continue;
    seen[visit.node] = true;
    const auto self = static_cast<std::uint32_t>(visits_.size());
    visits_.push_back(visit);
    const auto push = [&](NodeId child, std::uint32_t slot) {
      if (!seen[child] && (reach == Reach::everything || graph.is_container(child)))
        stack.push_back({child, self, slot});
    };
    // Pushed from the last to the first, so that the first is visited first.
    if (graph.kind(visit.node) == Kind::dict)
      if (const NodeId attributes = graph.attributes(visit.node); attributes != kNoNode)
        push(attributes, kAttributes);
    const auto items = graph.items(visit.node);
    for (std::size_t i = items.size(); i-- > 0;) push(items[i], static_cast<std::uint32_t>(i));
  }
}

std::string Paths::path(std::size_t visit) const {
  std::vector<std::string> parts;
  for (std::size_t at = visit; at != 0; at = visits_[at].parent) {
    const Visit& step = visits_[at];
    const NodeId parent = visits_[step.parent].node;
    if (step.slot == kAttributes) continue;  // attributes stand beside the keys
    if (graph_.kind(parent) == Kind::dict)
      parts.push_back(key_text(graph_, graph_.items(parent)[step.slot & ~1u]));
    else
      parts.push_back(std::to_string(step.slot));
  }
  std::string path;
  for (std::size_t i = parts.size(); i-- > 0;) {
    path += parts[i];
    if (i != 0) path += '.';
  }
  return path;
}

}  // namespace ferry
