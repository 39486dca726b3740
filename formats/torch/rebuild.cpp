#include "formats/torch/rebuild.h"

#include <algorithm>

#include "src/core/checked.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::torch {
namespace {

using python::Call;

[[noreturn]] void fail_tensor(const Call& call, const std::string& what) {
  throw Error(Code::bad_tensor, what).at(call.graph.at(call.id));
}

[[noreturn]] void throw_unsupported(const Call& call, std::string_view kind) {
  throw Error(Code::unsupported_tensor, std::string(kind) + " tensors are not converted yet")
      .at(call.graph.at(call.id));
}

std::string list_text(std::span<const std::int64_t> numbers) {
  std::string text = "(";
  for (std::size_t i = 0; i < numbers.size() && i < 8; ++i)
    text += (i > 0 ? ", " : "") + std::to_string(numbers[i]);
  return text + (numbers.size() > 8 ? ", …)" : ")");
}

}  // namespace

bool Rebuilder::interpret(Call& call) {
  if (!call.known) return false;
  switch (call.known->role) {
    case Role::rebuild_from_type:
      return rebuild_from_type(call);
    case Role::rebuild_from_numpy:
    case Role::rebuild_from_cpu:
      return rebuild_on_device(call);
    case Role::parameter_type:
      return old_variable(call);
    case Role::size:
      return make_size(call);
    case Role::device:
      return make_device(call);
    case Role::layout:
      return make_layout(call);
    case Role::generator:
      return make_generator(call);
    case Role::tensor_type:
      call.fail("would make a tensor of uninitialised memory");
    case Role::thnn_backend:
      call.need_nothing_after();
      call.become(call.graph.make_none());
      return true;
    default:
      break;
  }
  return rebuild(call, call.known->role, call.arguments);
}

bool Rebuilder::rebuild(Call& call, Role role, std::span<const NodeId> arguments) {
  const auto counted = [&](std::size_t least, std::size_t most) {
    if (arguments.size() < least || arguments.size() > most)
      call.fail("is called with " + std::to_string(arguments.size()) + " arguments");
  };
  switch (role) {
    case Role::rebuild_tensor:
      counted(4, 4);
      return rebuild_strided(call, arguments, false, false);
    case Role::rebuild_tensor_v2:
      counted(6, 7);
      return rebuild_strided(call, arguments, true, false);
    case Role::rebuild_tensor_v3:
      counted(7, 8);
      return rebuild_strided(call, arguments, true, true);
    case Role::rebuild_parameter:
      counted(3, 3);
      return rebuild_parameter(call, arguments);
    case Role::rebuild_parameter_with_state:
      counted(4, 4);
      return rebuild_parameter(call, arguments);
    case Role::rebuild_meta:
      counted(4, 4);
      return rebuild_meta(call, arguments);
    case Role::rebuild_sparse:
    case Role::rebuild_sparse_csr:
      counted(2, 2);
      return rebuild_sparse(call, arguments, role == Role::rebuild_sparse_csr);
    case Role::rebuild_quantized:
      counted(7, 7);
      return rebuild_quantized(call, arguments);
    case Role::rebuild_nested:
      counted(4, 4);
      return rebuild_nested(call, arguments);
    default:
      return false;
  }
}

// (storage, offset, size, stride[, requires_grad, backward_hooks[, metadata]]); v3 has the dtype before the
// metadata.
bool Rebuilder::rebuild_strided(Call& call, std::span<const NodeId> arguments, bool has_grad,
                                bool has_dtype) {
  const ValueGraph& graph = call.graph;
  call.need_nothing_after();
  Window window;
  Tensor tensor = read_view(call, arguments,
                            has_dtype ? std::optional(read_dtype(call, arguments[6])) : std::nullopt, window);
  if (has_grad) tensor.requires_grad = read_flag(call, arguments[4]);
  if (has_grad && graph.is_container(arguments[5]) && !graph.items(arguments[5]).empty())
    call.note(Code::attributes_dropped, "backward hooks of a tensor");
  const std::size_t metadata = has_dtype ? 7 : 6;
  if (arguments.size() > metadata) {
    const auto bit = [&](std::string_view key) {
      const NodeId value = graph.find(arguments[metadata], key);
      return value != kNoNode && graph.kind(value) == Kind::boolean && graph.boolean(value);
    };
    tensor.conjugated = bit("conj");
    tensor.negated = bit("neg");
  }
  become_tensor(call, tensor, window);
  return true;
}

// (dtype, size, stride, requires_grad): a tensor on the meta device has no bytes.
bool Rebuilder::rebuild_meta(Call& call, std::span<const NodeId> arguments) {
  call.need_nothing_after();
  Tensor tensor;
  tensor.dtype = read_dtype(call, arguments[0]);
  tensor.requires_grad = read_flag(call, arguments[3]);
  const Window window = read_window(call, call.graph.make_integer(0), arguments[1], arguments[2]);
  const auto extent = checked_extent(window.shape, window.strides, 0);
  if (!extent || !checked_mul(*extent, info(tensor.dtype).itemsize))
    fail_tensor(call, "a meta tensor of shape " + list_text(window.shape) + " is larger than can be counted");
  become_tensor(call, tensor, window);
  return true;
}

// (tensor, requires_grad, backward_hooks[, state])
bool Rebuilder::rebuild_parameter(Call& call, std::span<const NodeId> arguments) {
  call.need_nothing_after();
  if (call.graph.kind(arguments[0]) == Kind::composite) {
    become_parameter(call, arguments[0], read_flag(call, arguments[1]));
    if (arguments.size() > 3) drop_state(call, arguments[3]);
    return true;
  }
  if (call.graph.kind(arguments[0]) != Kind::tensor)
    fail_tensor(call, "a Parameter is made of something that is no tensor");
  Tensor tensor = checkpoint_.tensors[call.graph.index(arguments[0])];
  tensor.parameter = true;
  tensor.requires_grad = read_flag(call, arguments[1]);
  if (arguments.size() > 3) drop_state(call, arguments[3]);
  checkpoint_.tensors.push_back(tensor);
  call.become_tensor(static_cast<std::uint32_t>(checkpoint_.tensors.size() - 1));
  return true;
}

// (function, type, arguments, state): a tensor with attributes, or of a subclass; the plain tensor is kept.
bool Rebuilder::rebuild_from_type(Call& call) {
  ValueGraph& graph = call.graph;
  call.need_nothing_after();
  if (call.arguments.size() < 3 || call.arguments.size() > 4)
    call.fail("is called with " + std::to_string(call.arguments.size()) + " arguments");
  const NodeId function = call.arguments[0], type = call.arguments[1];
  if (graph.kind(function) != Kind::global || graph.kind(type) != Kind::global)
    call.fail("takes a function and a class");
  const auto known = find_global(graph.text(graph.module(function)), graph.text(graph.attribute(function)));
  const auto items = graph.items(call.arguments[2]);
  const std::vector<NodeId> arguments(items.begin(), items.end());
  const auto role = find_global(graph.text(graph.module(type)), graph.text(graph.attribute(type)));
  const std::string class_name = graph.dotted_name(type);
  const NodeId state = call.arguments.size() == 4 ? call.arguments[3] : kNoNode;
  if (known && known->role == Role::rebuild_wrapper) return wrapper_to_data(call, class_name, state);
  if (known && known->role == Role::rebuild_jagged)
    return wrapper_to_data(call, class_name, arguments.size() == 1 ? arguments[0] : kNoNode);
  if (!known || !rebuild(call, known->role, arguments)) call.fail("rebuilds a tensor by an unknown function");
  if (!role || (role->role != Role::tensor_type && role->role != Role::parameter_type))
    call.note(Code::object_to_data, "tensor subclass " + class_name + " → plain tensor");
  if (role && role->role == Role::parameter_type && graph.kind(call.id) == Kind::tensor)
    checkpoint_.tensors[graph.index(call.id)].parameter = true;
  if (state != kNoNode) drop_state(call, state);
  return true;
}

// (array or tensor, dtype, device, requires_grad): tensors of XLA and other devices are pickled through the
// CPU.
bool Rebuilder::rebuild_on_device(Call& call) {
  call.need_arguments(4, 4);
  call.need_nothing_after();
  if (call.graph.kind(call.arguments[0]) != Kind::tensor)
    fail_tensor(call, "a tensor is rebuilt from something that is no array");
  Tensor tensor = checkpoint_.tensors[call.graph.index(call.arguments[0])];
  const DType dtype = read_dtype(call, call.arguments[1]);
  if (dtype != tensor.dtype)
    throw_unsupported(call, "device (" + std::string(info(tensor.dtype).name) + " array as " +
                                std::string(info(dtype).name) + ")");
  tensor.requires_grad = read_flag(call, call.arguments[3]);
  checkpoint_.tensors.push_back(tensor);
  call.note(Code::device_to_cpu,
            "a tensor of device " + quote(call.graph.as_text(call.arguments[2]).value_or("?")));
  call.become_tensor(static_cast<std::uint32_t>(checkpoint_.tensors.size() - 1));
  return true;
}

// Parameter(tensor[, requires_grad]) and Variable(tensor) as PyTorch ≤ 0.3 wrote them, with (requires_grad,
// volatile, hooks) as state; the first releases made them of nothing, with (tensor, gradient, hooks,
// requires_grad, volatile) as state.
bool Rebuilder::old_variable(Call& call) {
  const ValueGraph& graph = call.graph;
  if (call.name().starts_with("Uninitialized"))
    throw Error(Code::unsupported_tensor,
                call.class_name() + " has no values: the lazy module that holds it never saw an input")
        .at(graph.at(call.id));
  call.need_arguments(0, 2);
  if (!call.list_items.empty() || !call.dict_items.empty()) call.fail("takes no items");
  std::vector<NodeId> state;
  if (call.state != kNoNode) {
    const auto parts = graph.items(call.state);
    if (graph.kind(call.state) != Kind::tuple || parts.empty()) call.fail("has an unknown state");
    state.assign(parts.begin(), parts.end());
  }
  const bool all_in_state = state.size() == 5;
  const NodeId data = all_in_state ? state[0] : call.arguments.empty() ? kNoNode : call.arguments[0];
  if (data == kNoNode || graph.kind(data) != Kind::tensor) call.fail("would make a Parameter of no tensor");
  Tensor tensor = checkpoint_.tensors[graph.index(data)];
  tensor.parameter = call.name() != "Variable";
  tensor.requires_grad = tensor.parameter;
  if (call.arguments.size() == 2) tensor.requires_grad = read_flag(call, call.arguments[1]);
  const NodeId flag = state.empty() ? kNoNode : state[all_in_state ? 3 : 0];
  if (flag != kNoNode && graph.kind(flag) == Kind::boolean) tensor.requires_grad = graph.boolean(flag);
  if (all_in_state && graph.kind(state[1]) == Kind::tensor)
    call.note(Code::attributes_dropped, "the gradient of a Variable");
  checkpoint_.tensors.push_back(tensor);
  call.become_tensor(static_cast<std::uint32_t>(checkpoint_.tensors.size() - 1));
  return true;
}

bool Rebuilder::make_size(Call& call) {
  call.need_arguments(0, 1);
  call.need_nothing_after();
  std::vector<NodeId> items;
  if (!call.arguments.empty()) {
    const auto numbers = call.graph.items(call.arguments[0]);
    if (!call.graph.is_container(call.arguments[0])) call.fail("takes a tuple of numbers");
    items.assign(numbers.begin(), numbers.end());
  }
  for (const NodeId item : items)
    if (call.graph.kind(item) != Kind::integer) call.fail("takes a tuple of numbers");
  const NodeId size = call.graph.make_container(Kind::size, 0, call.graph.at(call.id));
  call.graph.append(size, items);
  call.become(size);
  return true;
}

bool Rebuilder::make_device(Call& call) {
  call.need_arguments(1, 2);
  call.need_nothing_after();
  const auto type = call.graph.as_text(call.arguments[0]);
  if (!type) call.fail("takes a device type");
  std::string text(*type);
  if (call.arguments.size() == 2) {
    const auto index = call.graph.as_integer(call.arguments[1]);
    if (!index || *index < 0) call.fail("takes a device index");
    text.append(":").append(std::to_string(*index));
  }
  call.become(call.graph.make_bytes(Kind::device, as_bytes(text), call.graph.at(call.id)));
  return true;
}

bool Rebuilder::make_layout(Call& call) {
  call.need_arguments(1, 1);
  call.need_nothing_after();
  const auto text = call.graph.as_text(call.arguments[0]);
  if (!text || !text->starts_with("torch.")) call.fail("takes the name of a layout");
  call.become(call.graph.make_bytes(Kind::layout, as_bytes(std::string(*text)), call.graph.at(call.id)));
  return true;
}

// Generator(device) with (seed, offset, state) as state, since 2.5: what get_state() gives is the generator.
bool Rebuilder::make_generator(Call& call) {
  const auto parts = call.state == kNoNode ? std::span<const NodeId>() : call.graph.items(call.state);
  if (parts.size() != 3 || call.graph.kind(parts[2]) != Kind::tensor) call.fail("has no state with a tensor");
  call.become(parts[2]);
  call.note_data("the tensor of its state");
  return true;
}

Tensor Rebuilder::read_view(const Call& call, std::span<const NodeId> arguments, std::optional<DType> dtype,
                            Window& window) const {
  if (call.graph.kind(arguments[0]) != Kind::storage)
    fail_tensor(call, "a tensor is rebuilt from something that is no storage");
  const StorageView view = storages_.views()[call.graph.index(arguments[0])];
  window = read_window(call, arguments[1], arguments[2], arguments[3]);
  Tensor tensor;
  tensor.storage = view.storage;
  tensor.dtype = dtype.value_or(checkpoint_.storages[view.storage].dtype);
  check_inside(call, window, view, tensor.dtype);
  tensor.offset = view.offset + window.offset;
  return tensor;
}

Rebuilder::Window Rebuilder::read_window(const Call& call, NodeId offset, NodeId shape,
                                         NodeId strides) const {
  Window window;
  if (call.graph.kind(offset) != Kind::integer || call.graph.integer(offset) < 0)
    fail_tensor(call, "the offset of a tensor is no count");
  window.offset = call.graph.integer(offset);
  window.shape = read_sizes(call, shape, "shape");
  window.strides = read_sizes(call, strides, "strides");
  if (window.shape.size() != window.strides.size())
    fail_tensor(
        call, "a tensor has shape " + list_text(window.shape) + " and strides " + list_text(window.strides));
  return window;
}

std::vector<std::int64_t> Rebuilder::read_sizes(const Call& call, NodeId node, const char* what) const {
  const Kind kind = call.graph.kind(node);
  if (kind != Kind::tuple && kind != Kind::size)
    fail_tensor(call, std::string("the ") + what + " of a tensor is no tuple");
  std::vector<std::int64_t> sizes;
  for (const NodeId item : call.graph.items(node)) {
    if (call.graph.kind(item) != Kind::integer || call.graph.integer(item) < 0)
      fail_tensor(call, std::string("the ") + what + " of a tensor holds something that is no count");
    sizes.push_back(call.graph.integer(item));
  }
  if (sizes.size() > limits_.rank_max)
    fail_tensor(call, "a tensor has " + std::to_string(sizes.size()) + " dimensions, more than " +
                          std::to_string(limits_.rank_max));
  return sizes;
}

bool Rebuilder::read_flag(const Call& call, NodeId node) const {
  if (call.graph.kind(node) != Kind::boolean) fail_tensor(call, "requires_grad is neither True nor False");
  return call.graph.boolean(node);
}

DType Rebuilder::read_dtype(const Call& call, NodeId node) const {
  if (call.graph.kind(node) == Kind::global) {
    const auto known =
        find_global(call.graph.text(call.graph.module(node)), call.graph.text(call.graph.attribute(node)));
    if (known && known->role == Role::dtype) return *known->dtype;
  }
  fail_tensor(call, "a tensor has an unknown dtype");
}

void Rebuilder::check_inside(const Call& call, const Window& window, const StorageView& view,
                             DType dtype) const {
  const Storage& storage = checkpoint_.storages[view.storage];
  const auto extent = checked_extent(window.shape, window.strides, window.offset);
  // Elements of an untyped storage are bytes; those of a typed one have its own type.
  const auto reach = extent ? checked_mul(*extent, storage.untyped ? info(dtype).itemsize : 1) : std::nullopt;
  const bool empty = checked_numel(window.shape) == 0;
  if (!reach || (*reach > view.numel && !empty))
    fail_tensor(call, "a tensor of shape " + list_text(window.shape) + ", strides " +
                          list_text(window.strides) + " and offset " + std::to_string(window.offset) +
                          " reaches outside storage " + quote(storage.key) + " of " +
                          std::to_string(view.numel) + (storage.untyped ? " bytes" : " elements"));
}

std::uint32_t Rebuilder::add_tensor(Tensor tensor, const Window& window) {
  tensor.rank = static_cast<std::uint16_t>(window.shape.size());
  tensor.dims = checkpoint_.add_dims(window.shape, window.strides);
  checkpoint_.tensors.push_back(tensor);
  return static_cast<std::uint32_t>(checkpoint_.tensors.size() - 1);
}

NodeId Rebuilder::make_tensor(Call& call, Tensor tensor, const Window& window) {
  return call.graph.make_indexed(Kind::tensor, add_tensor(tensor, window), call.graph.at(call.id));
}

void Rebuilder::become_tensor(Call& call, Tensor tensor, const Window& window) {
  call.become_tensor(add_tensor(tensor, window));
}

void Rebuilder::drop_state(Call& call, NodeId state) {
  const ValueGraph& graph = call.graph;
  std::vector<NodeId> dicts{state};
  if (graph.kind(state) == Kind::tuple) dicts.assign(graph.items(state).begin(), graph.items(state).end());
  std::string names;
  for (const NodeId dict : dicts)
    for (std::size_t i = 0; graph.kind(dict) == Kind::dict && i < graph.entry_count(dict); ++i)
      names +=
          (names.empty() ? "" : ", ") + std::string(graph.as_text(graph.entry(dict, i).key).value_or("?"));
  if (!names.empty()) call.note(Code::attributes_dropped, "attributes of a tensor: " + names);
}

}  // namespace ferry::torch
