// Two checkpoints side by side: which tensor of one is which of the other, and which plain values differ.
//
// The trees are walked together: dict entries meet by key, items of lists by position.  What finds no partner
// that way is matched by name (the same dotted path through other containers, a wrapper's prefix, a renamed
// parametrization, a map that was given) and then by content, each tensor at most once.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "src/core/checkpoint.h"
#include "src/core/shared_array.h"

namespace ferry::structure {

inline constexpr std::uint32_t kNoTensor = 0xffffffff;

struct SidedTensor {
  std::uint32_t tensor = kNoTensor;  // index into Checkpoint::tensors
  SharedText path;                   // dotted, whole
};

struct TensorMatch {
  SidedTensor before, after;  // one of them may be missing: removed, or added
  SharedText matched_by;      // empty where both stand at the same path

  bool paired() const { return before.tensor != kNoTensor && after.tensor != kNoTensor; }
};

// A value that is no tensor and differs; kNoNode on the side that lacks it.  Where a container has no partner
// it is listed itself, not each value in it.
struct ValueDifference {
  std::string path;
  NodeId before = kNoNode, after = kNoNode;
};

struct Pairing {
  std::vector<TensorMatch> tensors;  // in the order of before; what was added follows
  std::vector<ValueDifference> values;
  std::size_t values_compared = 0;     // plain values that both have
  std::vector<std::string> reordered;  // dicts that have the same keys in another order
};

// Only what stands at the same place: what is left has no partner yet.
Pairing pair_trees(const Checkpoint& before, const Checkpoint& after);

// Names that were given: pairs of dotted paths, before and after.  Throws Code::nothing_selected for a path
// that its checkpoint does not have.
using NameMap = std::vector<std::pair<std::string, std::string>>;
void match_by_map(Pairing& pairing, const NameMap& names);

// What tensors that hold the same have in common; empty where that says nothing.
enum class Side : std::uint8_t { before, after };
using ContentKey = std::function<std::string(Side, const SidedTensor&)>;

// Tensors without a partner meet where their names differ in a known way and their shapes agree up to the
// order of axes: other containers around the same path, wrappers, parametrizations of later versions, a
// prefix or a run of components that became another throughout.  Where two such renamings want the same
// tensors, only one under which most of them are equal by `key` is believed.
void match_by_name(Pairing& pairing, const Checkpoint& before, const Checkpoint& after,
                   const ContentKey& key = {});

// Of renamings that want the same tensors, the one that most names bear out, and then the one that comes
// first in the files: for what contents did not tell.
void match_by_likely_name(Pairing& pairing, const Checkpoint& before, const Checkpoint& after);

// Tensors without a partner meet where `key` is the same and not empty; of several with one key, those whose
// names end alike come first.  `what` is what the report says: "content".
void match_by_content(Pairing& pairing, const ContentKey& key, std::string_view what);

// Puts the rows into the order of before, what was added behind; match_… keep it.
void restore_order(Pairing& pairing);

}  // namespace ferry::structure
