// The JSON of a graph as a Graph, every reference checked.
#pragma once

#include "formats/json/json.h"
#include "formats/pt2/graph.h"

namespace ferry::pt2 {

// Throws Code::bad_pt2: a value used before it is defined, or defined twice; a member that is missing or of
// another kind; an argument of an unknown kind.
Graph read_graph(const json::Value& value);

}  // namespace ferry::pt2
