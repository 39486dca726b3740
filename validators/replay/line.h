// A graph as one line of steps over numbered slots: graphs that only wrap others in a mode are laid out in
// place, so that liveness, taps and execution see one sequence.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "formats/pt2/graph.h"

namespace ferry::replay {

using Slot = std::uint32_t;

struct Step;

// A subgraph that runs when it is chosen.
struct Branch {
  std::vector<Step> steps;
  std::vector<pt2::Argument> outputs;
};

struct AutocastMode {
  std::string device;
  DType dtype = DType::bfloat16;
  bool enabled = true;
};

struct Step {
  enum class Kind : std::uint8_t { operation, symbol, enter_autocast, leave_autocast, condition };
  Kind kind = Kind::operation;
  const pt2::Node* node = nullptr;         // of the program that the line was made of
  std::vector<pt2::NamedArgument> inputs;  // a pt2::Value in it is a slot
  std::vector<pt2::Argument> outputs;      // a slot, a list of slots, or none
  AutocastMode autocast;
  std::vector<Branch> branches;         // of a condition: taken, not taken
  std::vector<pt2::Argument> operands;  // of a condition
};

struct Line {
  std::vector<pt2::Argument> inputs, outputs;  // slots, or constants
  std::vector<Step> steps;
  std::vector<bool> symbolic;  // of slots: a number, not a tensor
};

// Throws Code::unsupported_container for higher-order operators that are not known, Code::bad_pt2 for those
// whose arguments do not fit.
Line make_line(const pt2::Graph& graph);

// Every slot that an argument refers to, appended.
void slots_in(const pt2::Argument& argument, std::vector<Slot>& out);

}  // namespace ferry::replay
