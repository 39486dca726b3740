// What state_dict() would say of a module, read off its attributes: tensors under dotted paths.
//
// A module's own tensors come first, then what its lists, dicts and children hold, all in the order of the
// file.  Which tensors are parameters, which buffers and which neither only the code says: all of them are
// here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/torchscript/objects.h"
#include "src/core/limits.h"

namespace ferry::torchscript {

struct StateDict {
  struct Entry {
    std::string path;
    NodeId tensor;
  };
  struct Module {
    std::string path;  // "" the root
    int version;       // as _metadata has it
  };
  // Modules of one class with the same plain attributes.
  struct Description {
    std::string what;                // "torch.nn.modules.linear.Linear(in_features=3)"
    std::vector<std::string> paths;  // of the first few
    std::size_t count = 0;
  };
  std::vector<Entry> tensors;
  std::vector<Module> modules;
  std::vector<Description> descriptions;
  std::vector<std::string> cycles;  // paths at which a module holds one that it lies in
};

// Throws Code::too_deep, limit_exceeded (shared modules below shared modules make more paths than any file
// needs), key_collision.
StateDict flatten(const ValueGraph& graph, const Instances& instances, NodeId from, std::string_view prefix,
                  const Limits& limits);

}  // namespace ferry::torchscript
