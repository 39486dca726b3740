// Objects of torch's classes that are kept whole in a pickle → what their state_dict() would give:
// optimizers, GradScalers, schedulers, packed weights of quantized modules.  Modules are in modules.h.
#pragma once

#include "formats/python/interpret.h"

namespace ferry::torch {

// A handler for python::interpret_calls; false when the call makes no such object.  Throws Code::bad_call.
bool interpret_object(python::Call& call);

}  // namespace ferry::torch
