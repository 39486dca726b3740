// One checkpoint taken over into another: the parts of a file that holds several.
#pragma once

#include <functional>
#include <vector>

#include "src/core/checkpoint.h"

namespace ferry::torch {

// Copies values, tensors, storages, device tags and names of interpreted checkpoints into `whole`.  Sharing
// and cycles inside a part stay; storages keep pointing at where their bytes lie.
class Grafter {
 public:
  // What a node that stands for storage `index` of the whole refers to: the index itself, or, while the
  // whole's own calls are still to be interpreted, a view of it.
  using StorageNumber = std::function<std::uint32_t(std::uint32_t index)>;

  explicit Grafter(Checkpoint& whole, StorageNumber number = {})
      : whole_(whole), number_(std::move(number)) {}

  // The node in the whole that the root of `part` became.  Notes about values come along; those about a
  // container (checksums) are left to the caller.
  NodeId add(const Checkpoint& part);

 private:
  NodeId copy(const Checkpoint& part, NodeId root);
  NodeId copy_of(const Checkpoint& part, NodeId id);
  void copy_children(const ValueGraph& from, NodeId id);
  void add_storages(const Checkpoint& part);
  std::uint32_t add_tensor(const Checkpoint& part, std::uint32_t index);
  void add_globals(const GlobalLog& globals);
  void add_modules(const Checkpoint& part);
  void add_notes(const Checkpoint& part, NodeId root);

  Checkpoint& whole_;
  StorageNumber number_;
  std::uint32_t first_storage_ = 0;
  std::vector<NodeId> copies_;          // by node of the part
  std::vector<std::uint32_t> tensors_;  // by tensor of the part
};

}  // namespace ferry::torch
