// What changed about tensors and files other than their numbers, in lines; texts are not escaped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/report/difference.h"

namespace ferry::report {

struct StructureLine {
  std::string_view kind;  // "removed", "added", "shape", "dtype", "renamed", "sharing"
  std::string text;       // "fc.weight  float32 [10, 512]"
};

// Removed, added and reshaped tensors and changes of sharing one by one; changes of type and renamings
// together where they are of one kind: "float32 → float16: a, b, c and 297 more".
std::vector<StructureLine> structure_lines(const FileDiff& file);

// Files in which there is something to see, the worst first: errors, then what differs by its largest
// distance.
std::vector<const FileDiff*> worst_files_first(const DiffReport& report);

}  // namespace ferry::report
