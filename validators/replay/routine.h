// A line made ready to run: operators looked up, arguments converted to what their schemas want, values freed
// after their last use.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>

#include <optional>
#include <vector>

#include "validators/replay/line.h"
#include "validators/replay/module_spans.h"
#include "validators/replay/symbols.h"

namespace ferry::replay {

// Where an argument comes from at run time.
struct Source {
  enum class Kind : std::uint8_t { constant, slot, list };
  Kind kind = Kind::constant;
  c10::IValue constant;
  Slot slot = 0;
  bool tensor = false;  // a number in the slot is to become a tensor
  std::vector<Source> items;
  c10::TypePtr element;  // of a list
};

struct Target {
  bool list = false;
  std::vector<std::optional<Slot>> slots;
};

struct Instruction {
  Step::Kind kind = Step::Kind::operation;
  const Step* step = nullptr;
  std::optional<c10::OperatorHandle> op;
  Symbol symbol = Symbol::none;
  std::vector<Source> arguments;
  std::vector<Target> targets;
  std::vector<bool> factors;  // arguments that tensor cores would round; empty: none
  bool recurrent = false;     // an RNN of several steps
  std::vector<Slot> dead;     // slots that nothing needs any more
  AutocastMode autocast;
  std::vector<std::vector<Instruction>> branches;
  std::vector<std::vector<Source>> branch_outputs;
};

struct RoutineOptions {
  c10::Device device = c10::kCPU;
  bool wide = false;                         // float32 in arguments becomes float64
  const std::vector<ModuleSpan>* taps = {};  // what must live until its module is done
};

struct Routine {
  std::vector<Instruction> instructions;
  std::vector<Source> outputs;
  std::vector<bool> written;  // of the line's inputs: an operator changes it in place
};

// The value of a source: constants, slots, lists of both.
c10::IValue assemble(const Source& source, const std::vector<c10::IValue>& slots);

// Which arguments of an operator tensor cores would round; empty for operators that are no products.
std::vector<bool> factors_of(const c10::FunctionSchema& schema);

// aten::lstm, aten::gru and the like.
bool is_recurrent(const c10::FunctionSchema& schema);

// Throws Code::unsupported_container with the node for operators that are not registered, or that take what
// cannot be given (custom objects, generators).
Routine make_routine(const Line& line, const RoutineOptions& options);

}  // namespace ferry::replay
