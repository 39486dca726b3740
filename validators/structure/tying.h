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

// Rows of a pairing that are one tensor on one side and not on the other.
struct TyingChange {
  // Of Pairing::tensors, paired ones: one of every part that the tensors fall into on the side where they are
  // apart.
  std::vector<std::size_t> rows;
  bool tied_before = false;  // they were tied; else they are tied in after
};
std::vector<TyingChange> compare_ties(const Checkpoint& before, const Checkpoint& after,
                                      const Pairing& pairing);

}  // namespace ferry::structure
