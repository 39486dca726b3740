// Whether torch.amp.GradScaler would load a state and work with it.
//
// load_state_dict of an enabled scaler wants five entries and refuses an empty dict ("possibly because it was
// saved from a disabled instance"); numbers that make no sense load and show later, as a scale that never
// grows or is NaN.  None in the place of a state is how training code says that there is no scaler.
#pragma once

#include <string>
#include <vector>

#include "src/core/checkpoint.h"

namespace ferry::structure {

struct ScalerState {
  std::string path;
  bool none = false;  // no state, on purpose
  double scale = 0;
  std::vector<std::string> faults;  // empty: it loads
};

// Every value under a key that names a scaler ("scaler", "grad_scaler", "scalers" …), and every dict that
// looks like the state of one.
std::vector<ScalerState> judge_scalers(const Checkpoint& checkpoint);

}  // namespace ferry::structure
