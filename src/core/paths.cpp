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

bool holds_values(Kind kind) {
  return kind == Kind::dict || kind == Kind::list || kind == Kind::tuple || kind == Kind::set ||
         kind == Kind::size || kind == Kind::composite;
}

}  // namespace

std::string key_text(const ValueGraph& graph, NodeId key) {
  if (graph.kind(key) != Kind::tuple) return plain_text(graph, key);
  // One level and a few items only: tuples may be deep and long, and a path has to stay readable.
  constexpr std::size_t kItemsShown = 8;
  std::string text = "(";
  const auto items = graph.items(key);
  for (std::size_t i = 0; i < std::min(items.size(), kItemsShown); ++i)
    text.append(i == 0 ? "" : ", ").append(plain_text(graph, items[i]));
  return text + (items.size() > kItemsShown ? ", …)" : ")");
}

std::string item_text(const ValueGraph& graph, NodeId container, std::size_t slot) {
  if (graph.kind(container) != Kind::composite) return std::to_string(slot);
  return std::string(part_names(graph.composite(container))[slot]);
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
      if (!seen[child] && (reach == Reach::everything || holds_values(graph.kind(child))))
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

std::string Paths::path(std::size_t visit, std::size_t length_max) const {
  std::vector<std::string> parts;  // from the last to the first
  std::size_t length = 0;
  bool cut = false;
  for (std::size_t at = visit; at != 0 && !cut; at = visits_[at].parent) {
    const Visit& step = visits_[at];
    const NodeId parent = visits_[step.parent].node;
    if (step.slot == kAttributes) continue;  // attributes stand beside the keys
    const NodeId key = graph_.kind(parent) == Kind::dict ? graph_.items(parent)[step.slot & ~1u] : kNoNode;
    cut = key != kNoNode && graph_.text(key).size() > length_max;  // too long to be worth a copy
    if (!cut) parts.push_back(key == kNoNode ? item_text(graph_, parent, step.slot) : key_text(graph_, key));
    if (!cut) length += parts.back().size() + 1;
    cut = cut || length > length_max;
  }
  std::string path;
  for (std::size_t i = parts.size(); i-- > 0;) path.append(parts[i]).append(i == 0 ? "" : ".");
  if (!cut) return path;
  std::size_t begin = path.size() > length_max ? path.size() - length_max : 0;
  while (begin < path.size() && (static_cast<unsigned char>(path[begin]) & 0xc0) == 0x80) ++begin;
  return "…" + path.substr(begin);
}

}  // namespace ferry
