// Names that torch.compile, FSDP and activation checkpointing put before those of the modules they wrap:
// layers.0._fsdp_wrapped_module.weight.  No model has modules of these names itself.
// Source: _ORIG_MOD in torch/_dynamo/eval_frame.py, FSDP_WRAPPED_MODULE and _CHECKPOINT_WRAPPED_MODULE in
// torch/distributed; _fpw_module is that of FSDP's FlattenParamsWrapper.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace ferry {

inline constexpr auto kWrapperNames = std::to_array<std::string_view>(
    {"_orig_mod", "_fsdp_wrapped_module", "_fpw_module", "_checkpoint_wrapped_module"});

constexpr bool is_wrapper_name(std::string_view part) {
  return std::find(kWrapperNames.begin(), kWrapperNames.end(), part) != kWrapperNames.end();
}

}  // namespace ferry
