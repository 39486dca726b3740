#include "src/report/inspection_tree.h"

#include <algorithm>
#include <queue>

#include "src/core/paths.h"
#include "src/core/text.h"
#include "src/report/inspection_table.h"

namespace ferry::report {
namespace {

constexpr std::size_t kPreviewMost = 64;

}  // namespace

namespace {

std::string count_text(const ValueGraph& graph, NodeId node) {
  if (graph.kind(node) == Kind::dict) return plural(graph.entry_count(node), "entry", "entries");
  return plural(graph.items(node).size(), "item", "items");
}

}  // namespace

std::string Tree::describe_tensor(const Item& item) const {
  const Tensor& tensor = checkpoint_.tensors[checkpoint_.values.index(item.node)];
  std::string text = tensor_text(checkpoint_, tensor);
  if (tensor.storage == kNoStorage || sharing_.counts[tensor.storage] < 2) return text;
  const std::string& first = sharing_.first[tensor.storage];
  return text + (first == item.path ? ", shared" : ", shares " + quote(first, 60));
}

std::string Tree::describe(const Item& item) const {
  const NodeId node = item.node;
  const ValueGraph& graph = checkpoint_.values;
  const Kind kind = graph.kind(node);
  if (kind == Kind::tensor) return describe_tensor(item);
  if (kind == Kind::composite) return composite_text(checkpoint_, node);
  if (kind == Kind::storage) {
    const Storage& storage = checkpoint_.storages[graph.index(node)];
    return std::string(storage.untyped ? "untyped" : info(storage.dtype).name) + ", " +
           iec_size(storage.bytes.size);
  }
  const Totals totals = totals_.of(node);
  if (totals.tensors > 0) {
    const NodeId groups =
        kind == Kind::dict && graph.entry_count(node) <= 8 ? graph.find(node, "param_groups") : kNoNode;
    const bool optimizer =
        groups != kNoNode && graph.kind(groups) == Kind::list && graph.find(node, "state") != kNoNode;
    return (optimizer ? "optimizer state, " : "") + totals_text(totals);
  }
  std::string text = preview(graph, node, kPreviewMost);
  if (!holds_items(kind)) return text;
  if (text.size() <= kPreviewMost) return text;
  return count_text(graph, node) + ": " + cut_end(text, kPreviewMost);
}

TreeRow Tree::row(const Item& item, std::size_t depth) const {
  TreeRow row;
  row.depth = depth;
  row.name = item.module ? item.name + "." : item.name;
  row.path = item.path;
  row.totals = item.totals;
  row.leaf = !item.module && !holds_items(checkpoint_.values.kind(item.node));
  if (!item.module) row.type = type_text(checkpoint_, item.node);
  row.text = item.module ? totals_text(item.totals) : describe(item);
  return row;
}

Tree::Item Tree::root_item() const {
  Item item;
  item.node = checkpoint_.values.root();
  item.totals = totals();
  return item;
}

TreeRow Tree::root() const { return row(root_item(), 0); }

// A flat dict of tensors with dots in their names.
bool Tree::has_modules(NodeId dict) const {
  const ValueGraph& graph = checkpoint_.values;
  bool dots = false, tensors = false;
  for (std::size_t i = 0; i < graph.entry_count(dict); ++i) {
    const Entry entry = graph.entry(dict, i);
    const Kind kind = graph.kind(entry.value);
    if (!graph.is_text(entry.key) || (holds_items(kind) && kind != Kind::composite)) return false;
    dots = dots || graph.text(entry.key).find('.') != std::string_view::npos;
    tensors = tensors || graph.is_tensor(entry.value);
  }
  return dots && tensors;
}

std::vector<Tree::Item> Tree::children(const Item& item) const {
  const ValueGraph& graph = checkpoint_.values;
  if (item.module) return modules(item, item.entries, item.prefix);
  std::vector<Item> items;
  const auto put = [&](std::string name, NodeId node) {
    Item child;
    child.path = join_path(item.path, name);
    child.name = std::move(name);
    child.node = node;
    child.totals = totals_.of(node);
    items.push_back(std::move(child));
  };
  if (graph.kind(item.node) == Kind::dict) {
    if (has_modules(item.node)) {
      std::vector<std::uint32_t> all(graph.entry_count(item.node));
      for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint32_t>(i);
      return modules(item, std::move(all), 0);
    }
    for (std::size_t i = 0; i < graph.entry_count(item.node); ++i) {
      const Entry entry = graph.entry(item.node, i);
      put(key_text(graph, entry.key), entry.value);
    }
  } else if (holds_items(graph.kind(item.node))) {
    const auto nodes = graph.items(item.node);
    for (std::size_t i = 0; i < nodes.size(); ++i) put(item_text(graph, item.node, i), nodes[i]);
  }
  return items;
}

// Groups entries by what their keys say up to the next dot; a key without one is a value.
std::vector<Tree::Item> Tree::modules(const Item& parent, std::vector<std::uint32_t> entries,
                                      std::size_t prefix) const {
  const ValueGraph& graph = checkpoint_.values;
  std::vector<Item> items;
  std::unordered_map<std::string_view, std::size_t> index;
  for (const std::uint32_t i : entries) {
    const Entry entry = graph.entry(parent.node, i);
    const std::string_view key = graph.text(entry.key).substr(prefix);
    const std::size_t dot = key.find('.');
    const bool module = dot != std::string_view::npos;
    const std::string_view part = key.substr(0, dot);
    std::size_t at = items.size();
    if (module) at = index.try_emplace(part, items.size()).first->second;
    if (at == items.size()) {
      Item item;
      item.name = part;
      item.path = join_path(parent.path, part);
      item.node = module ? parent.node : entry.value;
      item.module = module;
      item.prefix = prefix + (module ? dot + 1 : 0);
      items.push_back(std::move(item));
    }
    if (module) items[at].entries.push_back(i);
    items[at].totals.add(totals_.of(entry.value));
  }
  for (Item& item : items)
    if (item.module) lengthen(item);
  return items;
}

// "encoder." with nothing but "encoder.layer.…" below it becomes "encoder.layer.".
void Tree::lengthen(Item& module) const {
  const ValueGraph& graph = checkpoint_.values;
  while (module.entries.size() > 1) {
    const auto rest = [&](std::uint32_t i) {
      return graph.text(graph.entry(module.node, i).key).substr(module.prefix);
    };
    const std::string_view first = rest(module.entries.front());
    const std::size_t dot = first.find('.');
    if (dot == std::string_view::npos) return;
    const std::string_view part = first.substr(0, dot + 1);
    if (!std::all_of(module.entries.begin(), module.entries.end(),
                     [&](std::uint32_t i) { return rest(i).starts_with(part); }))
      return;
    module.name = module.name + "." + std::string(part.substr(0, dot));
    module.path = join_path(module.path, part.substr(0, dot));
    module.prefix += dot + 1;
  }
}

// --- the first levels

struct Tree::Shown {
  Item item;
  std::size_t depth;
  std::vector<std::size_t> children;
  std::size_t hidden = 0;  // children that are only counted
  Totals hidden_totals;
};

// Whether a summary may show what is inside: plain data only where it lies at the top, and then not what one
// line says.
bool Tree::is_opened(const Item& item, std::size_t depth) const {
  if (item.module) return true;
  const Kind kind = checkpoint_.values.kind(item.node);
  if (!holds_items(kind) || kind == Kind::composite) return false;
  if (item.totals.tensors > 0) return true;
  return depth < 2 && preview(checkpoint_.values, item.node, kPreviewMost).size() > kPreviewMost;
}

std::vector<TreeRow> Tree::summary(std::size_t rows) const {
  std::vector<Shown> shown;
  shown.push_back({root_item(), 0, {}, 0, {}});
  // Level by level; in a level, first what has tensors, then the larger.
  struct Candidate {
    std::size_t depth, index;
    std::uint64_t bytes;
    bool operator<(const Candidate& other) const {
      if (depth != other.depth) return depth > other.depth;
      if (bytes != other.bytes) return bytes < other.bytes;
      return index > other.index;
    }
  };
  std::priority_queue<Candidate> queue;
  queue.push({0, 0, 0});
  std::size_t used = 0;
  while (!queue.empty()) {
    const Candidate next = queue.top();
    queue.pop();
    std::vector<Item> items = children(shown[next.index].item);
    const bool top = next.depth == 0;
    const std::size_t most = top ? rows : 10, few = top ? rows - 1 : 3;
    const std::size_t count = items.size() <= most ? items.size() : few;
    if (!top && used + count + 1 > rows) continue;
    used += count + static_cast<std::size_t>(count < items.size());
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i >= count) {
        ++shown[next.index].hidden;
        shown[next.index].hidden_totals.add(items[i].totals);
        continue;
      }
      const std::size_t index = shown.size();
      if (is_opened(items[i], next.depth + 1)) queue.push({next.depth + 1, index, items[i].totals.bytes});
      shown[next.index].children.push_back(index);
      shown.push_back({std::move(items[i]), next.depth + 1, {}, 0, {}});
    }
  }

  return rows_of(shown);
}

// Parents before their children, and after these the row that counts what is hidden.
std::vector<TreeRow> Tree::rows_of(const std::vector<Shown>& shown) const {
  std::vector<TreeRow> result;
  std::vector<std::size_t> stack{0};
  constexpr std::size_t kRest = std::size_t{1} << 63;  // marks the row that counts what is hidden
  while (!stack.empty()) {
    const std::size_t top = stack.back();
    stack.pop_back();
    const Shown& one = shown[top & ~kRest];
    if ((top & kRest) != 0) {
      TreeRow more;
      more.depth = one.depth;
      more.name = "…";
      more.text = grouped(one.hidden) + " more" +
                  (one.hidden_totals.tensors > 0 ? ": " + totals_text(one.hidden_totals) : "");
      more.totals = one.hidden_totals;
      result.push_back(std::move(more));
      continue;
    }
    if (top != 0) result.push_back(row(one.item, one.depth - 1));
    if (one.hidden > 0) stack.push_back(top | kRest);
    for (std::size_t i = one.children.size(); i-- > 0;) stack.push_back(one.children[i]);
  }
  return result;
}

void Tree::each(const std::function<void(const TreeRow&)>& take) const {
  struct Pending {
    Item item;
    std::size_t depth;
  };
  std::unordered_map<NodeId, std::string> seen;  // containers by the path where they were shown first
  std::vector<Pending> stack;
  const auto push_children = [&](const Item& item, std::size_t depth) {
    std::vector<Item> items = children(item);
    for (std::size_t i = items.size(); i-- > 0;) stack.push_back({std::move(items[i]), depth});
  };
  seen.emplace(checkpoint_.values.root(), "");
  push_children(root_item(), 0);
  while (!stack.empty()) {
    const Pending next = std::move(stack.back());
    stack.pop_back();
    TreeRow one = row(next.item, next.depth);
    if (!next.item.module && !one.leaf) {
      const auto [first, fresh] = seen.emplace(next.item.node, next.item.path);
      if (!fresh && !checkpoint_.values.items(next.item.node).empty()) {
        one.text = "the same object as " + (first->second.empty() ? "the root" : quote(first->second));
        take(one);
        continue;
      }
    }
    take(one);
    if (!one.leaf) push_children(next.item, next.depth + 1);
  }
}

}  // namespace ferry::report
