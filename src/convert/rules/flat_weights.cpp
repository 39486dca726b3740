// Recurrent nets on CUDA put all their weights on one flat storage (RNNBase.flatten_parameters), and a saved
// state_dict keeps that: tools that take tensors of one storage for tied ones stumble over it.  Here each
// weight gets a storage of its own; what is one tensor under two names stays one. Source:
// torch/nn/modules/rnn.py.
#include <map>

#include "src/convert/layout_fix.h"
#include "src/convert/rules/apply.h"

namespace ferry::convert {
namespace {

bool is_recurrent(std::string_view leaf) {
  for (const std::string_view stem : {"weight_ih_l", "weight_hh_l", "weight_hr_l", "bias_ih_l", "bias_hh_l"})
    if (leaf.starts_with(stem)) return true;
  return false;
}

// Its bytes alone, as the only part of a copy of its storage.
NodeId alone(Checkpoint& checkpoint, const Tensor& tensor) {
  Storage storage = checkpoint.storages[tensor.storage];
  const std::uint64_t size = info(tensor.dtype).itemsize;
  storage.parts = {{static_cast<std::uint64_t>(tensor.offset) * size,
                    static_cast<std::uint64_t>(numel(checkpoint, tensor)) * size}};
  checkpoint.storages.push_back(std::move(storage));
  Tensor made = tensor;
  made.storage = static_cast<std::uint32_t>(checkpoint.storages.size() - 1);
  made.offset = 0;
  checkpoint.tensors.push_back(made);
  return checkpoint.values.make_indexed(Kind::tensor,
                                        static_cast<std::uint32_t>(checkpoint.tensors.size() - 1));
}

}  // namespace

void separate_flat_weights(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log) {
  std::map<View, NodeId> made;  // in all state_dicts: what they share stays shared
  fix_layout(checkpoint, options, "flat_weights", "weight", "on storages of their own", log,
             [&](NamedTensors& tensors) {
               for (const std::string& name : tensors.names()) {
                 const NodeId node = tensors.find(name);
                 if (node == kNoNode || !is_recurrent(leaf_of(name)) || !tensors.in_scope(module_of(name)))
                   continue;
                 const Tensor tensor = checkpoint.tensors[checkpoint.values.index(node)];
                 if (tensor.storage == kNoStorage) continue;
                 const Storage& storage = checkpoint.storages[tensor.storage];
                 const std::uint64_t size =
                     static_cast<std::uint64_t>(numel(checkpoint, tensor)) * info(tensor.dtype).itemsize;
                 if (size == storage.bytes.size) continue;  // alone already
                 if (!is_contiguous(checkpoint, tensor) || !storage.parts.empty()) {
                   tensors.left(module_of(name), leaf_of(name) + " does not lie in one run");
                   continue;
                 }
                 const View view = view_of(checkpoint, node);
                 if (!made.contains(view)) made.emplace(view, alone(checkpoint, tensor));
                 tensors.set(name, made.at(view));
                 tensors.done(name);
               }
             });
}

}  // namespace ferry::convert
