// A checkpoint's tensors in the place of a model's own.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "src/core/checkpoint.h"
#include "validators/replay/request.h"
#include "validators/replay/stored.h"

namespace ferry::replay {

// A tensor of the model that a checkpoint may replace.
struct ModelWeight {
  std::string name;
  std::vector<std::int64_t> shape;
  bool needed = true;  // false: the model computes the same without it, or it is no part of a state_dict
};

class NewWeights {
 public:
  // Opens the checkpoint and finds the state_dict in it that fits the model: the one that is selected, or the
  // only one that has all names that the model needs.  Throws Code::weights_misfit, naming what is missing,
  // unexpected, or of another shape; what opening and the rules of convert throw.
  NewWeights(const Request& request, const std::vector<ModelWeight>& model);

  bool has(const std::string& name) const { return tensors_.contains(name); }
  at::Tensor load(const std::string& name) { return stored_->load(tensors_.at(name)); }
  const std::string& path() const { return path_; }  // of the state_dict in the checkpoint
  void forget() { stored_->forget(); }

 private:
  using Names = std::map<std::string, std::uint32_t>;

  void find(const Request& request, const std::vector<ModelWeight>& model);
  Names tensors_of(NodeId dict) const;
  void check(const Names& names, const std::vector<ModelWeight>& model) const;

  std::unique_ptr<Checkpoint> checkpoint_;
  std::unique_ptr<StoredTensors> stored_;
  Names tensors_;
  std::string path_;
};

}  // namespace ferry::replay
