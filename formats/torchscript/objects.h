// Instances of the classes that a TorchScript program defines, and what else its pickles say in a way of
// their own.
//
// The classes are in code/, which is never read: an instance is its attributes, or what its __getstate__
// gave.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "formats/python/interpret.h"
#include "src/core/checkpoint.h"

namespace ferry::torchscript {

struct Instance {
  std::string class_name;  // as in Python: "torch.nn.modules.linear.Linear"
  bool module = false;     // it has a `training`, as every module has
};
using Instances = std::unordered_map<NodeId, Instance>;

// A handler for torch::interpret.
class ObjectReader {
 public:
  // `tensors`: what build_tensor_from_id counts in, as indices into Checkpoint::tensors; only archives with a
  // model.json have such a table.
  explicit ObjectReader(std::span<const std::uint32_t> tensors = {}) : tensors_(tensors) {}

  // An instance becomes its state; sparse and quantized tensors get the arguments that torch.save writes.
  // Throws Code::bad_call.
  bool interpret(python::Call& call);

  const Instances& instances() const { return instances_; }
  std::size_t tensors_taken() const { return taken_.size(); }  // from the table

 private:
  bool make_instance(python::Call& call);
  bool take_tensor(python::Call& call);

  std::span<const std::uint32_t> tensors_;
  Instances instances_;
  std::unordered_set<std::uint32_t> taken_;
};

// "torch.nn.modules.linear.Linear" of "__torch__.torch.nn.modules.linear.___torch_mangle_7.Linear".
std::string class_name(std::string_view dotted);

}  // namespace ferry::torchscript
