// Places in a checkpoint, by dotted paths in which `*` stands for any run of characters of one key.
//
//   model_state.conv.weight     keys may hold dots themselves: every way to read the path is tried
//   models.*.state              of every model
//   state_dict.backbone.*       every key of state_dict that starts with "backbone."
//   .                           the root
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/value.h"

namespace ferry::convert {

struct PathMatch {
  NodeId value = kNoNode;
  NodeId parent = kNoNode;  // kNoNode: it is the root
  std::size_t slot = 0;     // of the value in items(parent)
  std::string path;
  std::vector<std::string> stars;  // what each * stood for
};

inline constexpr std::string_view kRootPath = ".";

// In the order of the walk; every place once.
std::vector<PathMatch> find_places(const ValueGraph& graph, std::string_view pattern);

// The path with every * replaced by what stood for it, in order.
std::string filled(std::string_view pattern, const std::vector<std::string>& stars);

// Puts a value there: replaces what is there, or adds it at the end of its dict.  Dicts on the way are made;
// in a state_dict the rest of the path is one key.  Throws Code::recipe_mismatch where the way leads through
// something that is no dict.
void put_at(ValueGraph& graph, std::string_view path, NodeId value);

// Takes entries out of their dicts.  Throws Code::recipe_mismatch for the root and for items of lists.
void take_out(ValueGraph& graph, std::span<const PathMatch> places);

}  // namespace ferry::convert
