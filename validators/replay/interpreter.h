// Runs a routine, step by step, through LibTorch's dispatcher.
#pragma once

#include <vector>

#include "validators/replay/precision.h"
#include "validators/replay/routine.h"

namespace ferry::replay {

// Sees what every step made, before anything is freed.
class StepWatcher {
 public:
  virtual ~StepWatcher() = default;
  virtual void after(std::size_t step, const Instruction& instruction,
                     const std::vector<c10::IValue>& slots) = 0;
};

// `slots` holds the inputs and has room for all; it is emptied as values die.  Returns the outputs.  Throws
// Code::model_failed with the node, its module and the line of Python that it came from.
std::vector<c10::IValue> run_routine(const Routine& routine, std::vector<c10::IValue>& slots,
                                     Rounding rounding, c10::Device device, StepWatcher* watcher);

}  // namespace ferry::replay
