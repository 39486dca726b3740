#include <algorithm>
#include <limits>

#include "src/core/composite.h"
#include "src/core/paths.h"
#include "src/core/text.h"
#include "src/report/inspection_tree.h"

namespace ferry::report {
namespace {

void add_saturated(std::uint64_t& sum, std::uint64_t more) {
  if (__builtin_add_overflow(sum, more, &sum)) sum = std::numeric_limits<std::uint64_t>::max();
}

}  // namespace

bool holds_items(Kind kind) {
  return kind == Kind::dict || kind == Kind::list || kind == Kind::tuple || kind == Kind::set ||
         kind == Kind::composite;
}

std::string plural(std::uint64_t count, std::string_view one, std::string_view many) {
  return grouped(count) + " " + std::string(count == 1 ? one : many);
}

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

std::string composite_text(const Checkpoint& checkpoint, NodeId node) {
  const ValueGraph& graph = checkpoint.values;
  const Composite form = graph.composite(node);
  const Tensor& values = values_of(checkpoint, node);
  const std::vector<std::int64_t> shape = shape_of(checkpoint, node);
  if (form == Composite::nested) return plural(static_cast<std::uint64_t>(shape[0]), "tensor", "tensors");
  std::string text = shape_text(shape) + "  " + iec_size(tensor_bytes(checkpoint, values));
  if (!is_quantized(form))
    text += " " + std::string(info(values.dtype).name) + ", " +
            plural(static_cast<std::uint64_t>(numel(checkpoint, values)), "value", "values") + " stored";
  else if (form == Composite::per_tensor)
    text += ", scale " + real_text(graph.real(graph.items(node)[1])) + ", zero point " +
            graph.integer_text(graph.items(node)[2]);
  else
    text += ", scales and zero points by axis " + graph.integer_text(graph.items(node)[3]);
  const std::uint16_t flags = graph.node(node).flags;
  if ((flags & kParameter) != 0) text += ", Parameter";
  if ((flags & kRequiresGrad) != 0 && (flags & kParameter) == 0) text += ", requires_grad";
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
    case Kind::composite:
      return is_quantized(graph.composite(node)) ? info(values_of(checkpoint, node).dtype).name
                                                 : composite_name(graph.composite(node));
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

// --- every tensor

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
      take(join_path(base, dict ? key_text(graph, items[k - 1]) : item_text(graph, node, k)),
           checkpoint.tensors[graph.index(items[k])]);
    }
  }
}

}  // namespace ferry::report
