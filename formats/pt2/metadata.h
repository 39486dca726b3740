// What the exporter remembered of where a node came from.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "formats/pt2/graph.h"

namespace ferry::pt2 {

// "L__self___layer.relu@1,layer.relu,torch.nn.modules.activation.ReLU;…": the calls of modules under way,
// outermost first.  Nothing where the text is of another form: it is a remark, not a part of the program.
std::vector<ModuleCall> module_stack(std::string_view text);

// The innermost line of a Python traceback that is not PyTorch's own: "model.py:31", or "".
std::string source_line(std::string_view stack_trace);

}  // namespace ferry::pt2
