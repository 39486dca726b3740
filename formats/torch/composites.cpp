// Tensors that torch makes of other tensors: sparse, nested, quantized.
//
// Source: torch/_utils.py (_rebuild_sparse_tensor, _rebuild_sparse_csr_tensor, _rebuild_nested_tensor,
// _rebuild_qtensor), torch/nested/_internal/nested_tensor.py (_rebuild_njt), 1.1 … 2.13.
#include "formats/torch/rebuild.h"
#include "src/core/composite.h"
#include "src/core/error.h"

namespace ferry::torch {
namespace {

using python::Call;

[[noreturn]] void fail(const Call& call, const std::string& what) {
  throw Error(Code::bad_tensor, what).at(call.graph.at(call.id));
}

std::optional<Composite> sparse_form(std::string_view layout) {
  if (!layout.starts_with("torch.")) return std::nullopt;
  const auto form = composite_by_name(layout.substr(6));
  return form && *form < Composite::nested ? form : std::nullopt;
}

}  // namespace

void Rebuilder::become_composite(Call& call, Composite form, std::uint16_t flags,
                                 std::span<const NodeId> parts) {
  const std::uint32_t at = call.graph.at(call.id);
  try {
    check_parts(checkpoint_, form, parts);
  } catch (Error& error) {
    error.at(at);
    throw;
  }
  call.become(call.graph.make_composite(form, flags, parts, at));
}

// (layout, (parts …)); until 1.13 compressed rows had a function of their own, which 2.x has no more.
bool Rebuilder::rebuild_sparse(Call& call, std::span<const NodeId> arguments, bool removed) {
  ValueGraph& graph = call.graph;
  call.need_nothing_after();
  const auto form =
      graph.kind(arguments[0]) == Kind::layout ? sparse_form(graph.text(arguments[0])) : std::nullopt;
  if (!form || graph.kind(arguments[1]) != Kind::tuple || (removed && *form != Composite::sparse_csr))
    fail(call, "a sparse tensor is rebuilt from an unknown layout");
  const auto items = graph.items(arguments[1]);
  become_composite(call, *form, 0, std::vector<NodeId>(items.begin(), items.end()));
  if (removed)
    call.note(Code::tensor_rebuilt, "torch._utils._rebuild_sparse_csr_tensor → _rebuild_sparse_tensor");
  return true;
}

// (values, sizes, strides, offsets)
bool Rebuilder::rebuild_nested(Call& call, std::span<const NodeId> arguments) {
  call.need_nothing_after();
  become_composite(call, Composite::nested, 0, arguments);
  return true;
}

// (storage, offset, size, stride, quantizer, requires_grad, backward_hooks); the quantizer is (scheme, scale,
// zero point) or (scheme, scales, zero points, axis).
bool Rebuilder::rebuild_quantized(Call& call, std::span<const NodeId> arguments) {
  ValueGraph& graph = call.graph;
  call.need_nothing_after();
  Window window;
  const Tensor tensor = read_view(call, arguments, std::nullopt, window);

  const auto quantizer = graph.items(arguments[4]);
  const NodeId scheme =
      graph.kind(arguments[4]) == Kind::tuple && !quantizer.empty() ? quantizer[0] : kNoNode;
  const auto form = scheme != kNoNode && graph.kind(scheme) == Kind::global
                        ? composite_by_name(graph.text(graph.attribute(scheme)))
                        : std::nullopt;
  if (!form || !is_quantized(*form)) fail(call, "a tensor is quantized by an unknown scheme");
  std::vector<NodeId> parts{kNoNode};
  parts.insert(parts.end(), quantizer.begin() + 1, quantizer.end());
  parts[0] = make_tensor(call, tensor, window);
  become_composite(call, *form, read_flag(call, arguments[5]) ? kRequiresGrad : 0, parts);
  return true;
}

// A Parameter that is sparse or quantized.
void Rebuilder::become_parameter(Call& call, NodeId composite, bool requires_grad) {
  const auto items = call.graph.items(composite);
  const std::vector<NodeId> parts(items.begin(), items.end());
  const auto flags = static_cast<std::uint16_t>(kParameter | (requires_grad ? kRequiresGrad : 0));
  call.become(
      call.graph.make_composite(call.graph.composite(composite), flags, parts, call.graph.at(call.id)));
}

// A subclass that keeps its tensors in attributes, or in the arguments of its constructor: a dict of them.
bool Rebuilder::wrapper_to_data(Call& call, std::string_view class_name, NodeId state) {
  ValueGraph& graph = call.graph;
  if (state != kNoNode && graph.kind(state) == Kind::tuple && graph.items(state).size() == 2)
    state = graph.items(state)[0];  // (attributes, slots)
  if (state == kNoNode || graph.kind(state) != Kind::dict)
    call.fail("makes a " + std::string(class_name) + " without attributes");
  const NodeId dict = graph.make_dict(DictFlavor::plain, graph.at(call.id));
  graph.append(dict, graph.items(state));
  call.become(dict);
  call.note(Code::object_to_data, "tensor subclass " + std::string(class_name) + " → dict of its attributes");
  return true;
}

}  // namespace ferry::torch
