#include "validators/replay/interpreter.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include <memory>

#include "src/core/error.h"
#include "src/core/text.h"
#include "validators/replay/types.h"

namespace ferry::replay {
namespace {

// The first line: what follows is a C++ backtrace.
std::string first_line(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

class Interpreter {
 public:
  Interpreter(std::vector<c10::IValue>& slots, Rounding rounding, c10::Device device)
      : slots_(slots), rounding_(rounding), device_(device) {}

  void run(const std::vector<Instruction>& instructions, StepWatcher* watcher) {
    for (std::size_t i = 0; i < instructions.size(); ++i) {
      const Instruction& instruction = instructions[i];
      guarded(instruction);
      if (watcher != nullptr) watcher->after(i, instruction, slots_);
      for (const Slot slot : instruction.dead) slots_[slot] = {};
    }
  }

 private:
  void guarded(const Instruction& instruction) {
    try {
      execute(instruction);
    } catch (const c10::Error& error) {
      throw placed(Error(Code::model_failed, first_line(error.what_without_backtrace())), instruction);
    } catch (Error& error) {
      throw placed(std::move(error), instruction);
    } catch (const std::bad_alloc&) {
      throw placed(Error(Code::out_of_memory, "there is not enough memory for the model"), instruction);
    } catch (const std::exception& error) {
      throw placed(Error(Code::model_failed, first_line(error.what())), instruction);
    }
  }

  static Error placed(Error error, const Instruction& instruction) {
    const pt2::Node& node = *instruction.step->node;
    if (!error.where().empty() && error.where().front().starts_with("in node")) return error;
    std::string place =
        "in node " + quote(node.name.empty() ? node.target : node.name, 60) + " (" + node.target + ")";
    if (!node.stack.empty() && !node.stack.back().path.empty())
      place += " of module " + quote(node.stack.back().path, 100);
    if (!node.source.empty()) place += " from " + node.source;
    error.in(std::move(place));
    return error;
  }

  void execute(const Instruction& instruction) {
    switch (instruction.kind) {
      case Step::Kind::operation:
        if (instruction.op) call(instruction);
        break;
      case Step::Kind::symbol:
        call_symbol(instruction);
        break;
      case Step::Kind::enter_autocast:
        autocasts_.push_back(std::make_unique<AutocastScope>(autocast_device(instruction.autocast),
                                                             instruction.autocast.enabled,
                                                             scalar_type_of(instruction.autocast.dtype)));
        break;
      case Step::Kind::leave_autocast:
        autocasts_.pop_back();
        break;
      case Step::Kind::condition:
        choose(instruction);
        break;
    }
  }

  // A program exported for a GPU and run on a processor autocasts there.
  c10::DeviceType autocast_device(const AutocastMode& mode) const {
    return mode.device == "cpu" && device_.is_cuda() ? c10::kCPU : device_.type();
  }

  void call(const Instruction& instruction) {
    stack_.clear();
    for (const Source& source : instruction.arguments) stack_.push_back(assemble(source, slots_));
    if (rounding_ != Rounding::none)
      for (std::size_t i = 0; i < instruction.factors.size(); ++i)
        if (instruction.factors[i]) stack_[i] = rounded(stack_[i], rounding_);
    const RecurrentScope exact(instruction.recurrent && device_.is_cuda());
    instruction.op->callBoxed(stack_);
    if (stack_.size() < instruction.targets.size())
      throw Error(Code::model_failed, "the operator returned too few values");
    for (std::size_t i = 0; i < instruction.targets.size(); ++i)
      store(instruction.targets[i], std::move(stack_[i]));
  }

  void store(const Target& target, c10::IValue value) {
    if (!target.list) {
      if (target.slots.front()) slots_[*target.slots.front()] = settled(std::move(value));
      return;
    }
    if (!value.isList()) throw Error(Code::model_failed, "the operator returned no list");
    const auto list = value.toListRef();
    if (list.size() != target.slots.size())
      throw Error(Code::model_failed, "the operator returned " + std::to_string(list.size()) +
                                          " tensors; the program was exported for " +
                                          std::to_string(target.slots.size()));
    for (std::size_t i = 0; i < list.size(); ++i)
      if (target.slots[i]) slots_[*target.slots[i]] = list[i];
  }

  static c10::IValue settled(c10::IValue value) {
    if (value.isSymInt()) return value.toSymInt().guard_int(__FILE__, __LINE__);
    if (value.isSymFloat()) return value.toSymFloat().guard_float(__FILE__, __LINE__);
    if (value.isSymBool()) return value.toSymBool().guard_bool(__FILE__, __LINE__);
    return value;
  }

  void call_symbol(const Instruction& instruction) {
    stack_.clear();
    for (const Source& source : instruction.arguments) stack_.push_back(assemble(source, slots_));
    store(instruction.targets.front(), evaluate(instruction.symbol, stack_));
  }

  void choose(const Instruction& instruction) {
    const c10::IValue predicate = assemble(instruction.arguments.front(), slots_);
    const bool taken =
        predicate.isTensor() ? predicate.toTensor().item().toBool() : predicate.toScalar().toBool();
    const std::size_t branch = taken ? 0 : 1;
    run(instruction.branches[branch], nullptr);
    std::vector<c10::IValue> outputs;
    for (const Source& source : instruction.branch_outputs[branch])
      outputs.push_back(assemble(source, slots_));
    for (std::size_t i = 0; i < outputs.size(); ++i) store(instruction.targets[i], std::move(outputs[i]));
  }

  std::vector<c10::IValue>& slots_;
  Rounding rounding_;
  c10::Device device_;

  torch::jit::Stack stack_;
  std::vector<std::unique_ptr<AutocastScope>> autocasts_;
};

}  // namespace

std::vector<c10::IValue> run_routine(const Routine& routine, std::vector<c10::IValue>& slots,
                                     Rounding rounding, c10::Device device, StepWatcher* watcher) {
  Interpreter(slots, rounding, device).run(routine.instructions, watcher);
  std::vector<c10::IValue> outputs;
  for (const Source& source : routine.outputs) outputs.push_back(assemble(source, slots));
  return outputs;
}

}  // namespace ferry::replay
