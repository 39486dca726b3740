// Tensors as containers of tensors want them: each on a storage of its own, row-major, without gaps.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "src/cli/opened.h"
#include "src/core/checkpoint.h"
#include "src/core/executor.h"

namespace ferry::cli {

class Gathered {
 public:
  // The tensors of a checkpoint, which outlives this and is not compacted.  No byte is read.  Throws
  // Code::unsupported_tensor for views that repeat their elements beyond all bounds.
  Gathered(const Checkpoint& checkpoint, std::vector<std::uint32_t> tensors);

  // By tensor, in the order given.  A storage that is read as it lies in the source has the CRC of the
  // source.
  std::span<const Storage> storages() const { return storages_; }

  // Reads the storages of which only parts are copied, so that what is taken from them is whole.  Throws
  // Code::checksum_mismatch.
  void check_parts(Executor& executor) const;

 private:
  const Checkpoint& checkpoint_;
  std::unique_ptr<TensorViews> views_;
  std::vector<Storage> storages_;
  std::vector<std::uint32_t> parts_;  // tensors whose bytes no CRC of a record of the plan covers
};

}  // namespace ferry::cli
