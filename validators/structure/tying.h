// Tensors that share memory, and whether two checkpoints agree on which do.
#pragma once

#include <cstdint>
#include <vector>

#include "src/core/checkpoint.h"
#include "validators/structure/pairing.h"

namespace ferry::structure {

// For each of `tensors` (indices into Checkpoint::tensors) the first one that it shares bytes with, directly
// or through others; itself when it is alone.  Tensors share bytes when the ranges from their first to their
// last element overlap in one storage; tensors without elements share nothing.
std::vector<std::uint32_t> find_ties(const Checkpoint& checkpoint, const std::vector<std::uint32_t>& tensors);

// Rows of a pairing that share memory on one side and not, or not all of them, on the other.
struct TyingChange {
  std::vector<std::size_t> rows;                   // of Pairing::tensors, paired ones
  std::vector<std::vector<std::size_t>> together;  // those of them that share memory on the other side too
  bool tied_before = false;  // all of them were tied; else all of them are tied in after
};
std::vector<TyingChange> compare_ties(const Checkpoint& before, const Checkpoint& after,
                                      const Pairing& pairing);

}  // namespace ferry::structure
