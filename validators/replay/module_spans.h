// Which values a module returned, read off the graph: what forward hooks would have recorded.
//
// The steps of one call of a module follow each other.  When the last of them is done, what was made inside
// and is used outside is what the call returned; a lone value is output "0".  Of several values the order in
// the Python tuple is known for recurrent layers and for the model itself; of other modules the values are
// named "~0", "~1" … in the order in which they were made, so that nobody takes them for positions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "validators/replay/line.h"

namespace ferry::replay {

struct ModuleOutput {
  std::string path;  // "0", "1.0", "~0"
  Slot slot;
};

struct ModuleSpan {
  std::string module, class_name;  // "layer1.0", "Block"
  std::uint32_t call = 0;
  std::size_t last_step = 0;
  std::vector<ModuleOutput> outputs;
};

// In the order of completion: children before their parents.  The model itself is left out: its outputs are
// those of the graph.
std::vector<ModuleSpan> find_module_spans(const Line& line);

}  // namespace ferry::replay
