// Several flat checkpoints made into one.
#pragma once

#include <string>
#include <vector>

#include "src/core/checkpoint.h"

namespace ferry::safetensors {

class Merger {
 public:
  // A tensor of a part, by its name there.
  struct Item {
    std::string name;
    NodeId node;  // in the merged graph
  };

  // Takes over storages, tensors, names that pickles mention and notes of `part`, whose root is a dict of
  // tensors; names that share a tensor go on sharing it.  `label` names the part in messages.
  // Throws Code::unsupported_value for any other root, Code::limit_exceeded.
  std::vector<Item> add(Checkpoint part, const std::string& label);

  // The merged checkpoint, with `items` (names and tensors in turn) as its root.
  Checkpoint finish(SourcePtr source, const std::vector<NodeId>& items);

  ValueGraph& values() { return merged_.values; }

 private:
  void add_storages(Checkpoint& part);
  std::vector<Item> add_values(const Checkpoint& part);
  NodeId add_tensor(const Checkpoint& part, const Tensor& tensor);
  void add_globals(const GlobalLog& globals);
  void add_notes(const Checkpoint& part);

  Checkpoint merged_;
  std::size_t parts_ = 0;
  std::uint32_t first_storage_ = 0;  // of the part that is being added
  std::vector<NodeId> nodes_;        // of its tensors in the merged graph, once they are there
  std::vector<Note> whole_;          // notes about whole parts
};

}  // namespace ferry::safetensors
