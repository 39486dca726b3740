// A look at every call of the dispatcher, with the right to change what goes in.
//
// TorchScript runs its operators out of our sight; this makes them compute in float64, with rounded factors,
// on another device, or as they did in old releases.  It stands on a dispatch key that LibTorch keeps for its
// own tests, so it is one file, and tries itself out before it is trusted.
#pragma once

#include <ATen/core/ivalue.h>
#include <c10/core/Device.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "validators/replay/precision.h"

namespace ferry::replay {

struct Hook {
  bool wide = false;
  Rounding rounding = Rounding::none;
  bool tf32 = false;  // may a GPU round the factors of convolutions
  // Where the program runs, whichever device is written in it: a trace has the one that it was made on.
  std::optional<c10::Device> device;
  // Told of the outputs of calls that no other call made; empty: nobody listens.
  std::function<void(const std::string& op, const std::vector<c10::IValue>& outputs)> listener;
};

// Active in this thread until the end of the scope.  Throws Code::model_failed when this LibTorch does not
// call the hook.
class HookScope {
 public:
  explicit HookScope(Hook hook);
  ~HookScope();
  HookScope(const HookScope&) = delete;
  HookScope& operator=(const HookScope&) = delete;
};

// Calls of ours between those of a model, which the hook must not see.
class HookPause {
 public:
  HookPause();

 private:
  c10::impl::ExcludeDispatchKeyGuard guard_;
};

}  // namespace ferry::replay
