#include "src/report/inspection_tree.h"

#include <algorithm>
#include <limits>
#include <queue>

#include "src/core/paths.h"
#include "src/core/text.h"
#include "src/report/inspection_table.h"

namespace ferry::report {
namespace {

constexpr std::size_t kPreviewMost = 64;

void add_saturated(std::uint64_t& sum, std::uint64_t more) {
  if (__builtin_add_overflow(sum, more, &sum)) sum = std::numeric_limits<std::uint64_t>::max();
}

bool holds_items(Kind kind) {
  return kind == Kind::dict || kind == Kind::list || kind == Kind::tuple || kind == Kind::set;
}

std::string plural(std::uint64_t count, std::string_view one, std::string_view many) {
  return grouped(count) + " " + std::string(count == 1 ? one : many);
}

}  // namespace

// --- totals

void Totals::add(const Totals& other) {
  add_saturated(tensors, other.tensors);
  add_saturated(elements, other.elements);
  add_saturated(bytes, other.bytes);
  dtypes |= other.dtypes;
}

std::vector<DType> dtypes_of(std::uint64_t dtypes) {
  std::vector<DType> list;
  for (const bool numbers : {true, false})  // weights first, counters after them
    for (const DTypeInfo& row : all_dtypes()) {
      const bool real =
          row.name.starts_with("float") || row.name.starts_with("bfloat") || row.name.starts_with("complex");
      if (real == numbers && (dtypes >> static_cast<unsigned>(row.dtype) & 1u) != 0)
        list.push_back(row.dtype);
    }
  return list;
}

std::string dtypes_text(std::uint64_t dtypes) {
  std::string text;
  for (const DType dtype : dtypes_of(dtypes))
    text += (text.empty() ? "" : ", ") + std::string(info(dtype).name);
  return text;
}

std::string totals_text(const Totals& totals) {
  return plural(totals.tensors, "tensor", "tensors") + ", " +
         plural(totals.elements, "parameter", "parameters") + ", " + iec_size(totals.bytes) + " " +
         dtypes_text(totals.dtypes);
}

// Children before parents.  A container inside itself adds nothing.
TotalsIndex::TotalsIndex(const Checkpoint& checkpoint) : checkpoint_(checkpoint) {
  struct Frame {
    NodeId node;
    std::size_t next;
    Totals totals;
  };
  const ValueGraph& graph = checkpoint.values;
  if (!holds_items(graph.kind(graph.root()))) return;
  std::vector<Frame> stack{{graph.root(), 0, {}}};
  containers_.try_emplace(graph.root());
  while (!stack.empty()) {
    Frame& frame = stack.back();
    const auto items = graph.items(frame.node);
    if (frame.next == items.size()) {
      const Frame done = frame;
      containers_[done.node] = done.totals;
      stack.pop_back();
      if (!stack.empty()) stack.back().totals.add(done.totals);
      continue;
    }
    const NodeId child = items[frame.next++];
    if (graph.kind(child) == Kind::tensor) frame.totals.add(of_tensor(child));
    if (!holds_items(graph.kind(child))) continue;
    const auto [known, fresh] = containers_.try_emplace(child);
    if (fresh)
      stack.push_back({child, 0, {}});
    else
      frame.totals.add(known->second);
  }
}

Totals TotalsIndex::of_tensor(NodeId node) const {
  const Tensor& tensor = checkpoint_.tensors[checkpoint_.values.index(node)];
  return {1, static_cast<std::uint64_t>(numel(checkpoint_, tensor)), tensor_bytes(checkpoint_, tensor),
          std::uint64_t{1} << static_cast<unsigned>(tensor.dtype)};
}

Totals TotalsIndex::of(NodeId node) const {
  if (checkpoint_.values.kind(node) == Kind::tensor) return of_tensor(node);
  const auto found = containers_.find(node);
  return found == containers_.end() ? Totals{} : found->second;
}

// --- values in words

std::uint64_t tensor_bytes(const Checkpoint& checkpoint, const Tensor& tensor) {
  std::uint64_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<std::uint64_t>(numel(checkpoint, tensor)),
                             std::uint64_t{info(tensor.dtype).itemsize}, &bytes))
    return std::numeric_limits<std::uint64_t>::max();
  return bytes;
}

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

std::string tensor_text(const Checkpoint& checkpoint, const Tensor& tensor) {
  std::string text = shape_text(checkpoint.shape(tensor)) + "  " + iec_size(tensor_bytes(checkpoint, tensor));
  if (tensor.parameter) text += ", Parameter";
  if (tensor.requires_grad && !tensor.parameter) text += ", requires_grad";
  if (!is_contiguous(checkpoint, tensor)) text += ", strides " + shape_text(checkpoint.strides(tensor));
  if (tensor.conjugated) text += ", conjugated";
  if (tensor.negated) text += ", negated";
  if (tensor.storage == kNoStorage) return text + ", meta (no data)";
  const Storage& storage = checkpoint.storages[tensor.storage];
  if (storage.device < checkpoint.devices.size() && checkpoint.devices[storage.device] != "cpu")
    text += ", " + escape_for_terminal(checkpoint.devices[storage.device]);
  return text;
}

std::string_view type_text(const Checkpoint& checkpoint, NodeId node) {
  const ValueGraph& graph = checkpoint.values;
  switch (graph.kind(node)) {
    case Kind::none:
      return "None";
    case Kind::boolean:
      return "bool";
    case Kind::integer:
    case Kind::big_integer:
      return "int";
    case Kind::real:
      return "float";
    case Kind::complex:
      return "complex";
    case Kind::text:
      return "str";
    case Kind::byte_string:
    case Kind::bytes:
      return "bytes";
    case Kind::byte_array:
      return "bytearray";
    case Kind::tuple:
      return "tuple";
    case Kind::list:
      return "list";
    case Kind::set:
      return graph.frozen(node) ? "frozenset" : "set";
    case Kind::size:
      return "torch.Size";
    case Kind::device:
      return "torch.device";
    case Kind::dtype:
      return "torch.dtype";
    case Kind::layout:
      return "torch.layout";
    case Kind::tensor:
      return info(checkpoint.tensors[graph.index(node)].dtype).name;
    case Kind::storage:
      return "storage";
    case Kind::dict:
      return graph.flavor(node) == DictFlavor::ordered   ? "OrderedDict"
             : graph.flavor(node) == DictFlavor::counter ? "Counter"
                                                         : "dict";
    default:
      return "?";
  }
}

namespace {

// Writes values into one line and gives up when it is long: nesting is bounded by the length of the line.
class Preview {
 public:
  Preview(const ValueGraph& graph, std::size_t length_max) : graph_(graph), length_max_(length_max) {}

  void write(NodeId node) {
    if (out.size() > length_max_) return;
    switch (graph_.kind(node)) {
      case Kind::dict:
        return write_dict(node);
      case Kind::list:
        return write_items(node, "[", "]");
      case Kind::tuple:
        return write_items(node, "(", graph_.items(node).size() == 1 ? ",)" : ")");
      case Kind::set:
        return write_items(node, "{", "}");
      case Kind::size:
        return write_items(node, "Size[", "]");
      default:
        return write_scalar(node);
    }
  }

  std::string out;

 private:
  void write_scalar(NodeId node) {
    switch (graph_.kind(node)) {
      case Kind::text:
        out += quote(graph_.text(node), length_max_);
        break;
      case Kind::byte_string:
      case Kind::bytes:
      case Kind::byte_array:
        out += plural(graph_.text(node).size(), "byte", "bytes");
        break;
      case Kind::complex: {
        const auto [re, im] = graph_.complex(node);
        out += real_text(re) + (im < 0 ? "" : "+") + real_text(im) + "j";
        break;
      }
      case Kind::integer:
      case Kind::big_integer: {
        // Digits of a very long number take quadratic time.
        const bool long_one = graph_.kind(node) == Kind::big_integer && graph_.text(node).size() > 32;
        out += long_one ? "an integer of " + grouped(graph_.text(node).size()) + " bytes"
                        : graph_.integer_text(node);
        break;
      }
      default:
        out += escape_for_terminal(key_text(graph_, node));
    }
  }

  void write_items(NodeId node, std::string_view open, std::string_view close) {
    out += open;
    bool first = true;
    for (const NodeId item : graph_.items(node)) {
      if (out.size() > length_max_) return;
      if (!first) out += ", ";
      first = false;
      write(item);
    }
    out += close;
  }

  void write_dict(NodeId node) {
    out += "{";
    for (std::size_t i = 0; i < graph_.entry_count(node) && out.size() <= length_max_; ++i) {
      const Entry entry = graph_.entry(node, i);
      out += (i > 0 ? ", " : "") + escape_for_terminal(key_text(graph_, entry.key)) + ": ";
      write(entry.value);
    }
    out += "}";
  }

  const ValueGraph& graph_;
  std::size_t length_max_;
};

}  // namespace

std::string preview(const ValueGraph& graph, NodeId node, std::size_t length_max) {
  Preview writer(graph, length_max);
  writer.write(node);
  return std::move(writer.out);
}

Sharing find_sharing(const Checkpoint& checkpoint, bool with_paths) {
  Sharing sharing;
  sharing.counts.resize(checkpoint.storages.size());
  if (with_paths) sharing.first.resize(checkpoint.storages.size());
  each_tensor(checkpoint, [&](const std::string& path, const Tensor& tensor) {
    if (tensor.storage == kNoStorage) return;
    if (with_paths && sharing.counts[tensor.storage] == 0) sharing.first[tensor.storage] = path;
    ++sharing.counts[tensor.storage];
  });
  for (const std::uint32_t count : sharing.counts) sharing.shared_tensors += count > 1 ? count : 0;
  return sharing;
}

// --- the tree

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
    if (!graph.is_text(entry.key) || holds_items(graph.kind(entry.value))) return false;
    dots = dots || graph.text(entry.key).find('.') != std::string_view::npos;
    tensors = tensors || graph.kind(entry.value) == Kind::tensor;
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
    for (std::size_t i = 0; i < nodes.size(); ++i) put(std::to_string(i), nodes[i]);
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
  if (!holds_items(checkpoint_.values.kind(item.node))) return false;
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

void each_tensor(const Checkpoint& checkpoint,
                 const std::function<void(const std::string& path, const Tensor& tensor)>& take) {
  const ValueGraph& graph = checkpoint.values;
  if (graph.kind(graph.root()) == Kind::tensor)
    return take("", checkpoint.tensors[graph.index(graph.root())]);
  const Paths paths(graph, Reach::containers);
  for (std::size_t i = 0; i < paths.visits().size(); ++i) {
    const NodeId node = paths.visits()[i].node;
    const auto items = graph.items(node);
    const bool dict = graph.kind(node) == Kind::dict;
    std::string base;
    bool have_base = false;
    for (std::size_t k = dict ? 1 : 0; k < items.size(); k += dict ? 2 : 1) {
      if (graph.kind(items[k]) != Kind::tensor) continue;
      if (!have_base) base = paths.path(i);
      have_base = true;
      take(join_path(base, dict ? key_text(graph, items[k - 1]) : std::to_string(k)),
           checkpoint.tensors[graph.index(items[k])]);
    }
  }
}

}  // namespace ferry::report
