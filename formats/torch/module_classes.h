// What classes of torch.nn put into a state_dict beside parameters and buffers, and the versions that its
// _metadata names.
//
// Source: torch/nn/modules/batchnorm.py, torch/ao/nn/quantized/**, torch/ao/quantization/observer.py and
// their places before torch.ao (1.10), `_version` and `_save_to_state_dict`, 1.0 … 2.13.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/checkpoint.h"

namespace ferry::torch {

// True for a class whose instances are pickled as a tuple: torch.nn.quantized.Conv1d, Conv2d, Conv3d and the
// fused forms of them.
bool is_quantized_convolution(std::string_view class_name);

// `_version` of the class: 1 unless torch says otherwise.  Norms count from 2 on since they have
// num_batches_tracked (0.4.1), so their buffers tell.
std::int64_t module_version(const ValueGraph& graph, std::string_view class_name, NodeId state);

// The entries of a quantized module, which are attributes and no buffers; new tensors are made for scale and
// zero_point.
struct OwnEntry {
  std::string_view name;
  NodeId value;
};
std::vector<OwnEntry> own_entries(Checkpoint& checkpoint, std::string_view class_name, NodeId state);

}  // namespace ferry::torch
