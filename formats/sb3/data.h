// The JSON of a stable-baselines3 archive as plain values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/core/value.h"

namespace ferry::sb3 {

struct Data {
  NodeId root = kNoNode;
  std::vector<std::string> serialized;  // where values were pickled, by their keys: "policy_class"
};

// Python's json: NaN, Infinity and -Infinity are numbers.  Entries ":serialized:" are left out of their
// objects.  Throws what json::read throws.
Data read_data(std::string_view document, ValueGraph& graph);

}  // namespace ferry::sb3
