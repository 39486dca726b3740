// Dotted paths of values: "model_state.conv.weight", "optimizer.param_groups.0.lr", "best_states.0".
//
// A path is made of dict keys and of the positions in lists and tuples, joined by dots.  A value that several
// parents hold has the path of its first visit; the walk goes parents first, children in order, and visits
// every value once, so cycles end and a memo bomb costs nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/value.h"

namespace ferry {

// A dict key as a part of a path: text as it is, numbers in digits, tuples as "(1, a)", other values by their
// kind.
std::string key_text(const ValueGraph& graph, NodeId key);

// What stands for an item in a path: the name of the part in a composite, else its position.
std::string item_text(const ValueGraph& graph, NodeId container, std::size_t slot);

enum class Reach : std::uint8_t {
  containers,  // dicts, lists, tuples, sets and composite tensors only: quick, also where there are 100,000
               // tensors
  everything,  // every value, keys too; a key has the path of its entry
};

// One walk over what a value reaches.
class Paths {
 public:
  struct Visit {
    NodeId node;
    std::uint32_t parent;  // index of the visit that led here; that of the root is 0
    std::uint32_t slot;    // position in items() of the parent, or kAttributes
  };
  static constexpr std::uint32_t kAttributes = 0xffffffff;

  Paths(const ValueGraph& graph, NodeId from, Reach reach);
  Paths(const ValueGraph& graph, Reach reach) : Paths(graph, graph.root(), reach) {}

  // In the order of the walk; the first is the root.
  std::span<const Visit> visits() const { return visits_; }
  // The path of a visit, "" for the root.  It is read from the graph, so it is right until keys or items
  // change. A path longer than `length_max` bytes loses its beginning ("…conv.weight"): keys come from the
  // file, and a long one above thousands of values must not cost gigabytes.
  static constexpr std::size_t kLengthMax = 1000;
  std::string path(std::size_t visit, std::size_t length_max = kLengthMax) const;

 private:
  const ValueGraph& graph_;
  std::vector<Visit> visits_;
};

// "model" and "conv" give "model.conv"; an empty side gives the other.
std::string join_path(std::string_view path, std::string_view key);

}  // namespace ferry
