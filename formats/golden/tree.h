// What npz and HDF5 have in common: paths with attributes, and arrays at some of them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "src/core/checkpoint.h"
#include "src/core/limits.h"

namespace ferry::golden {

using TreeValue = std::variant<std::int64_t, double, std::string>;  // truth values are 0 and 1

struct TreeNode {
  std::optional<std::uint32_t> tensor;  // index into Tree::data.tensors
  std::vector<std::pair<std::string, TreeValue>> attributes;

  const TreeValue* find(std::string_view name) const;
};

struct Tree {
  Checkpoint data;
  std::map<std::string, TreeNode> nodes;  // by path, "case/0/in/0"; the root is ""
};

// Of an npz: throws Code::bad_golden when it has no member with attributes, or one that is not what it should
// be; Code::checksum_mismatch; what open_npz throws.
Tree read_npz_tree(SourcePtr source, const Limits& limits);
// Attributes of other kinds than TreeValue knows are left out.  Throws what open_hdf5 throws.
Tree read_hdf5_tree(SourcePtr source, const Limits& limits);

}  // namespace ferry::golden
