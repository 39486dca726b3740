// The content hash of one checkpoint: a name for what it holds, whatever its container.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/cli/hash.h"
#include "src/core/executor.h"

namespace ferry::cli {

// A tensor under one of its names.
struct NamedHash {
  std::string path, dtype;
  std::string layout;  // "sparse_coo", "per_tensor_affine": of a tensor made of others; else empty
  std::vector<std::int64_t> shape;
  bool has_data = true;  // false: a meta tensor, hashed by its type and shape
  std::string hash;
};

struct FileHash {
  std::string path;
  std::string model;    // of the tensors with their names
  std::string weights;  // of the tensors alone: the same for two models whose names differ
  std::vector<NamedHash> tensors;

  std::size_t without_data() const;
};

// Reads the file, checksums too.  Names that are spelt alike ({"a.b": x, "a": {"b": y}}) are told apart by
// the keys that lead to them, so that an exchange of their tensors is seen.
FileHash hash_file(const std::string& path, const HashOptions& options, Executor& executor);

}  // namespace ferry::cli
