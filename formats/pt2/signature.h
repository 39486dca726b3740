// What the inputs and outputs of a graph are.
#pragma once

#include "formats/json/json.h"
#include "formats/pt2/program.h"

namespace ferry::pt2 {

// Fills Program::inputs and outputs from the signature and the trees of `graph_module`, and checks that they
// describe the inputs and outputs of program.graph, in order.  Throws Code::bad_pt2.
void read_signature(const json::Value& graph_module, Program& program);

}  // namespace ferry::pt2
