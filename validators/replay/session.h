// One request from beginning to end.
#pragma once

#include "validators/replay/request.h"

namespace ferry::replay {

// Runs every case in every precision and writes the golden; says on the way how it goes.  A run that fails is
// recorded with its error and does not stop the others.  Throws what stopped it altogether.
void serve(const Request& request);

}  // namespace ferry::replay
