// What PyTorch's own calls in a pickle mean: tensors, parameters, sizes, devices.
//
// Source: torch/_utils.py (_rebuild_*), torch/_tensor.py (_rebuild_from_type_v2), torch/nn/parameter.py,
// 0.1.10 … 2.13.
#pragma once

#include "formats/python/interpret.h"
#include "formats/torch/storages.h"

namespace ferry::torch {

// Turns torch's calls into values; the storages of the graph must have been resolved.
class Rebuilder {
 public:
  Rebuilder(Checkpoint& checkpoint, const StorageTable& storages, const Limits& limits)
      : checkpoint_(checkpoint), storages_(storages), limits_(limits) {}

  // A handler for python::interpret_calls; false when the call is not torch's.
  // Throws Code::bad_tensor, Code::bad_call, Code::unsupported_tensor.
  bool interpret(python::Call& call);

 private:
  struct Window {  // shape and strides of a tensor, read and checked
    std::vector<std::int64_t> shape, strides;
    std::int64_t offset = 0;
  };

  bool rebuild(python::Call& call, Role role, std::span<const NodeId> arguments);
  bool rebuild_strided(python::Call& call, std::span<const NodeId> arguments, bool has_grad, bool has_dtype);
  bool rebuild_meta(python::Call& call, std::span<const NodeId> arguments);
  bool rebuild_parameter(python::Call& call, std::span<const NodeId> arguments);
  bool rebuild_sparse(python::Call& call, std::span<const NodeId> arguments, bool removed);
  bool rebuild_nested(python::Call& call, std::span<const NodeId> arguments);
  bool rebuild_quantized(python::Call& call, std::span<const NodeId> arguments);
  bool rebuild_from_type(python::Call& call);
  bool wrapper_to_data(python::Call& call, std::string_view class_name, NodeId state);
  bool rebuild_on_device(python::Call& call);
  bool old_variable(python::Call& call);
  bool make_size(python::Call& call);
  bool make_device(python::Call& call);
  bool make_layout(python::Call& call);
  bool make_generator(python::Call& call);

  void become_composite(python::Call& call, Composite form, std::uint16_t flags,
                        std::span<const NodeId> parts);
  void become_parameter(python::Call& call, NodeId composite, bool requires_grad);

  Window read_window(const python::Call& call, NodeId offset, NodeId shape, NodeId strides) const;
  std::vector<std::int64_t> read_sizes(const python::Call& call, NodeId node, const char* what) const;
  // (storage, offset, size, stride): a tensor that lies inside its storage, of the given type or the
  // storage's.
  Tensor read_view(const python::Call& call, std::span<const NodeId> arguments, std::optional<DType> dtype,
                   Window& window) const;
  bool read_flag(const python::Call& call, NodeId node) const;
  DType read_dtype(const python::Call& call, NodeId node) const;
  void check_inside(const python::Call& call, const Window& window, const StorageView& view,
                    DType dtype) const;
  std::uint32_t add_tensor(Tensor tensor, const Window& window);
  NodeId make_tensor(python::Call& call, Tensor tensor, const Window& window);
  void become_tensor(python::Call& call, Tensor tensor, const Window& window);
  void drop_state(python::Call& call, NodeId state);

  Checkpoint& checkpoint_;
  const StorageTable& storages_;
  const Limits& limits_;
};

// torch.jit._pickle: lists with the type of their items, containers with the text of their type.  TorchScript
// and LibTorch's pickle_save write them; the value is what they were given.
bool interpret_typed_container(python::Call& call);

}  // namespace ferry::torch
