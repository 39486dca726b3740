// Source: torch/csrc/jit/serialization/{pickler,unpickler}.cpp, 1.1 … 2.13.
#include "formats/torchscript/objects.h"

namespace ferry::torchscript {
namespace {

using python::Call;

constexpr std::string_view kNamespace = "__torch__", kMangle = "___torch_mangle_";

// What at::Layout counts.
std::string_view layout_name(std::int64_t layout) {
  return layout == 1 ? "torch.sparse_coo" : layout == 2 ? "torch.sparse_csr" : "";
}

// (layout as a number, size, requires_grad, indices, values[, hooks]) as torch.save has it: (layout,
// (indices, values, size)); of CSR two tensors are indices.
void adapt_sparse(Call& call) {
  ValueGraph& graph = call.graph;
  if (call.arguments.empty() || graph.kind(call.arguments[0]) != Kind::integer) return;
  const std::string_view layout = layout_name(graph.integer(call.arguments[0]));
  const std::size_t parts = layout == "torch.sparse_csr" ? 3 : 2;
  if (layout.empty() || call.arguments.size() < 3 + parts) call.fail("makes a tensor of an unknown layout");
  std::vector<NodeId> data(call.arguments.begin() + 3,
                           call.arguments.begin() + static_cast<std::ptrdiff_t>(3 + parts));
  data.push_back(call.arguments[1]);
  call.arguments = {graph.make_bytes(Kind::layout, as_bytes(layout), graph.at(call.id)),
                    graph.make_tuple(data, graph.at(call.id))};
}

// A list of numbers as a tensor.
NodeId tensor_of(Call& call, NodeId list, DType dtype) {
  ValueGraph& graph = call.graph;
  const auto items = graph.items(list);
  std::vector<std::byte> bytes(items.size() * sizeof(std::uint64_t));
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Kind wanted = dtype == DType::float64 ? Kind::real : Kind::integer;
    if (graph.kind(items[i]) != wanted) call.fail("has parameters of quantization that are no numbers");
    store_le(&bytes[i * sizeof(std::uint64_t)], graph.node(items[i]).word());
  }
  const std::int64_t shape[] = {static_cast<std::int64_t>(items.size())};
  return graph.make_indexed(
      Kind::tensor,
      call.context.checkpoint.add_tensor(dtype, shape, std::move(bytes), false, "parameters of quantization"),
      graph.at(call.id));
}

// (scheme, scales, zero points, axis): lists until 1.4, tensors in torch.save and since.
void adapt_quantized(Call& call) {
  ValueGraph& graph = call.graph;
  if (call.arguments.size() < 5 || graph.kind(call.arguments[4]) != Kind::tuple) return;
  const auto items = graph.items(call.arguments[4]);
  std::vector<NodeId> parts(items.begin(), items.end());
  if (parts.size() != 4 || graph.kind(parts[1]) != Kind::list || graph.kind(parts[2]) != Kind::list) return;
  parts[1] = tensor_of(call, parts[1], DType::float64);
  parts[2] = tensor_of(call, parts[2], DType::int64);
  call.arguments[4] = graph.make_tuple(parts, graph.at(call.id));
}

}  // namespace

bool ObjectReader::interpret(Call& call) {
  if (!call.known) return make_instance(call);
  switch (call.known->role) {
    case Role::build_tensor_from_id:
      return take_tensor(call);
    case Role::rebuild_sparse:
      adapt_sparse(call);
      return false;
    case Role::rebuild_quantized:
      adapt_quantized(call);
      return false;
    default:
      return false;
  }
}

bool ObjectReader::make_instance(Call& call) {
  const std::string dotted = call.class_name();
  if (!call.instance || !dotted.starts_with(std::string(kNamespace) + ".")) return false;
  call.need_arguments(0, 0);
  if (!call.list_items.empty() || !call.dict_items.empty()) call.fail("takes no items");
  NodeId state = call.state;
  if (state == kNoNode) state = call.graph.make_dict(DictFlavor::plain, call.graph.at(call.id));
  if (call.graph.kind(state) == Kind::call) call.fail("is its own state");
  const bool module = call.graph.kind(state) == Kind::dict && call.graph.find(state, "training") != kNoNode;
  instances_.emplace(call.id, Instance{class_name(dotted), module});
  call.become(state);
  return true;
}

bool ObjectReader::take_tensor(Call& call) {
  call.need_arguments(1, 1);
  call.need_nothing_after();
  const auto id = call.graph.as_integer(call.arguments[0]);
  if (!id || *id < 0 || static_cast<std::uint64_t>(*id) >= tensors_.size())
    call.fail("names a tensor that is not in the table");
  const std::uint32_t tensor = tensors_[static_cast<std::size_t>(*id)];
  taken_.insert(tensor);
  call.become_tensor(tensor);
  return true;
}

std::string class_name(std::string_view dotted) {
  std::string name;
  while (!dotted.empty()) {
    const std::size_t dot = dotted.find('.');
    const std::string_view part = dotted.substr(0, dot);
    if (part != kNamespace && !part.starts_with(kMangle)) name.append(name.empty() ? "" : ".").append(part);
    dotted.remove_prefix(dot == std::string_view::npos ? dotted.size() : dot + 1);
  }
  return name;
}

}  // namespace ferry::torchscript
