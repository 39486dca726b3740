// Checkpoints of containers that hold nothing but tensors, with the state that torchferry wrote beside them.
#pragma once

#include "formats/state/state.h"
#include "src/core/checkpoint.h"

namespace ferry {

// Looks for the state of what was read from safetensors (shards too), npz or HDF5: in the file of the same
// name with .json behind it, or in the dataset __torchferry__.  Where there is one, the checkpoint is again
// what it was before it was written there; any other JSON is left alone.  Throws Code::bad_json for a state
// that is not that of these tensors, as `fit` says.
void restore_state(Checkpoint& checkpoint, state::Fit fit);

}  // namespace ferry
