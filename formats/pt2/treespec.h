// The nesting of inputs and outputs as pytree describes it: a JSON text in the JSON of the archive.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ferry::pt2 {

// The path of every leaf, in order: "0", "1.0" by positions in tuples and lists, "logits" by keys of dicts
// and of classes that have keys.  A tree that is one leaf has the path "".  Throws Code::bad_pt2.
std::vector<std::string> leaf_paths(std::string_view spec);

// The same for the pair of positional and keyword arguments: "0", "1.0", "kw.mask".
std::vector<std::string> argument_paths(std::string_view spec);

}  // namespace ferry::pt2
