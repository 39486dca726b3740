#include <ATen/ATen.h>

#include <map>

#include "formats/pt2/program.h"
#include "src/core/error.h"
#include "src/core/text.h"
#include "validators/replay/interpreter.h"
#include "validators/replay/line.h"
#include "validators/replay/model.h"
#include "validators/replay/module_spans.h"
#include "validators/replay/routine.h"
#include "validators/replay/types.h"

namespace ferry::replay {
namespace {

using Kind = pt2::InputSpec::Kind;

bool is_of_state(const pt2::InputSpec& input) {
  return input.kind == Kind::parameter || (input.kind == Kind::buffer && input.persistent);
}

// Writes what is tapped, and looks for float32 where there should be none.
class TapWatcher final : public StepWatcher {
 public:
  TapWatcher(const std::vector<ModuleSpan>& spans, Taps taps, bool wide, Recording* recording)
      : spans_(spans), taps_(taps), wide_(wide), recording_(recording) {}

  void after(std::size_t step, const Instruction& instruction,
             const std::vector<c10::IValue>& slots) override {
    if (wide_ && narrowed_.empty()) look_for_float32(instruction, slots);
    if (recording_ == nullptr) return;
    if (taps_ == Taps::operations) record_operation(instruction, slots);
    for (; next_ < spans_.size() && spans_[next_].last_step == step; ++next_)
      record_module(spans_[next_], slots);
  }

  const std::string& narrowed() const { return narrowed_; }

 private:
  void record_module(const ModuleSpan& span, const std::vector<c10::IValue>& slots) {
    for (const ModuleOutput& output : span.outputs)
      if (slots[output.slot].isTensor())
        recording_->module(span.module, span.class_name, span.call, output.path,
                           slots[output.slot].toTensor());
  }

  static std::size_t count_outputs(const Instruction& instruction) {
    std::size_t count = 0;
    for (const Target& target : instruction.targets) count += target.slots.size();
    return count;
  }

  void record_operation(const Instruction& instruction, const std::vector<c10::IValue>& slots) {
    if (!instruction.op) return;
    const pt2::Node& node = *instruction.step->node;
    const pt2::ModuleCall place = node.stack.empty() ? pt2::ModuleCall{} : node.stack.back();
    constexpr std::string_view kPrefix = "torch.ops.";
    for (std::size_t i = 0, at = 0; i < instruction.targets.size(); ++i)
      for (const auto& slot : instruction.targets[i].slots) {
        const std::size_t index = at++;
        if (!slot || !slots[*slot].isTensor() || !slots[*slot].toTensor().defined()) continue;
        recording_->operation(node.target.substr(kPrefix.size()), place.path, place.call, node.source,
                              count_outputs(instruction) == 1 ? "0" : std::to_string(index),
                              slots[*slot].toTensor());
      }
  }

  void look_for_float32(const Instruction& instruction, const std::vector<c10::IValue>& slots) {
    for (const Target& target : instruction.targets)
      for (const auto& slot : target.slots)
        if (slot && slots[*slot].isTensor() && slots[*slot].toTensor().defined() &&
            is_narrow(slots[*slot].toTensor().scalar_type()))
          narrowed_ = place_of(*instruction.step->node);
  }

  static bool is_narrow(c10::ScalarType type) {
    return (at::isFloatingType(type) && type != at::kDouble) ||
           (at::isComplexType(type) && type != at::kComplexDouble);
  }

  static std::string place_of(const pt2::Node& node) {
    std::string place = node.target;
    if (!node.stack.empty() && !node.stack.back().path.empty()) place += " in " + node.stack.back().path;
    return node.source.empty() ? place : place + " (" + node.source + ")";
  }

  const std::vector<ModuleSpan>& spans_;
  Taps taps_;
  bool wide_;
  Recording* recording_;
  std::size_t next_ = 0;
  std::string narrowed_;
};

class Pt2Model final : public Model {
 public:
  Pt2Model(const std::string& path, c10::Device device)
      : program_(pt2::open_program(open_file(path), Limits{})),
        line_(make_line(program_.graph)),
        spans_(find_module_spans(line_)),
        device_(device) {
    StoredTensors stored(program_.data);
    const auto load = [&](const pt2::NamedTensor& named) { return stored.load(named.tensor); };
    for (const pt2::NamedTensor& named : program_.state) state_.emplace(named.name, load(named));
    for (const pt2::NamedTensor& named : program_.constants) constants_.emplace(named.name, load(named));
    for (const pt2::InputSpec& input : program_.inputs) refuse_unreadable(input);
  }

  std::vector<ModelWeight> weights() const override {
    std::vector<ModelWeight> result;
    for (const pt2::NamedTensor& named : program_.state)
      result.push_back({named.name, state_.at(named.name).sizes().vec(), is_used(named.name)});
    return result;
  }

  // As load_state_dict does: the numbers in the types and strides of the model.
  void take(NewWeights& weights) override {
    for (auto& [name, tensor] : state_) {
      if (!weights.has(name)) continue;
      at::Tensor fresh = at::empty_like(tensor);
      fresh.copy_(weights.load(name));
      tensor = fresh;
    }
    weights.forget();
  }

  at::Tensor weight(const std::string& name) const override { return state_.at(name); }

  void prepare(const Precision& precision, Taps taps) override {
    precision_ = precision;
    taps_ = taps;
    RoutineOptions options{device_, precision.wide, taps == Taps::none ? nullptr : &spans_};
    routine_ = make_routine(line_, options);
    held_.assign(program_.inputs.size(), {});
    for (std::size_t i = 0; i < program_.inputs.size(); ++i) held_[i] = held(program_.inputs[i]);
  }

  std::vector<RecordedValue> forward(const Inputs& inputs, Recording* taps) override {
    std::vector<c10::IValue> slots(line_.symbolic.size());
    fill(inputs, slots);
    TapWatcher watcher(spans_, taps_, precision_.wide, taps);
    const bool watch = taps != nullptr || precision_.wide;
    const auto outputs =
        run_routine(routine_, slots, precision_.rounding, device_, watch ? &watcher : nullptr);
    if (!watcher.narrowed().empty()) contamination_ = watcher.narrowed();
    auto result = named(outputs);
    if (taps != nullptr) record_root(result, *taps);
    return result;
  }

  std::string contamination() const override { return contamination_; }

 private:
  void refuse_unreadable(const pt2::InputSpec& input) const {
    const bool known = input.kind == Kind::user || input.kind == Kind::constant ||
                       (is_of_state(input) ? state_ : constants_).contains(input.target);
    if (!known)
      throw Error(Code::unsupported_value, "the model takes " + quote(input.target) +
                                               ", which is no plain tensor: it cannot be replayed");
  }

  bool is_used(const std::string& name) const {
    std::vector<Slot> taken;
    for (std::size_t i = 0; i < program_.inputs.size(); ++i) {
      if (!is_of_state(program_.inputs[i]) || program_.inputs[i].target != name) continue;
      for (const Step& step : line_.steps) {
        taken.clear();
        for (const pt2::NamedArgument& input : step.inputs) slots_in(input.value, taken);
        for (const pt2::Argument& operand : step.operands) slots_in(operand, taken);
        for (const Slot slot : taken)
          if (slot == line_.inputs[i].get<pt2::Value>()->id) return true;
      }
      return false;
    }
    // Not an input by itself: another name for a tied weight, which a state_dict has too.
    return true;
  }

  c10::IValue held(const pt2::InputSpec& input) const {
    if (input.kind == Kind::user || input.kind == Kind::constant) return {};
    const at::Tensor& tensor = (is_of_state(input) ? state_ : constants_).at(input.target);
    return (precision_.wide ? widened(tensor) : tensor).to(device_);
  }

  void fill(const Inputs& inputs, std::vector<c10::IValue>& slots) const {
    std::map<std::string, std::int64_t> sizes;  // by expression
    for (std::size_t i = 0; i < program_.inputs.size(); ++i) {
      const auto* value = line_.inputs[i].get<pt2::Value>();
      if (value == nullptr) continue;
      // A buffer that the graph writes to is the graph's own in every pass.
      if (!held_[i].isNone())
        slots[value->id] = routine_.written[i] ? c10::IValue(held_[i].toTensor().clone()) : held_[i];
      else
        slots[value->id] = user_input(i, inputs, sizes);
    }
  }

  c10::IValue user_input(std::size_t i, const Inputs& inputs,
                         std::map<std::string, std::int64_t>& sizes) const {
    const pt2::InputSpec& spec = program_.inputs[i];
    const auto found = inputs.find(spec.path);
    if (found == inputs.end())
      throw Error(Code::model_failed,
                  "the model takes the input " + quote(spec.path, 60) + ", which the golden does not have");
    if (line_.symbolic[line_.inputs[i].get<pt2::Value>()->id]) {
      const c10::Scalar number = found->second.item();
      return number.isFloatingPoint() ? c10::IValue(number.toDouble()) : c10::IValue(number.toLong());
    }
    if (const auto& facts = program_.graph.input_facts[i]) check_input(spec, *facts, found->second, sizes);
    // A program may write to its input; the next run wants it as it was.
    return routine_.written[i] ? found->second.clone() : found->second;
  }

  // Programs are made for sizes and types: with others they may give numbers that mean nothing.
  void check_input(const pt2::InputSpec& spec, const pt2::TensorFacts& facts, const at::Tensor& tensor,
                   std::map<std::string, std::int64_t>& sizes) const {
    const auto refuse = [&](const std::string& what) {
      throw Error(Code::model_failed, "the input " + quote(spec.path, 60) + " " + what)
          .with_hint("export the program with this input, or with dynamic_shapes");
    };
    const c10::ScalarType wanted = scalar_type_of(facts.dtype);
    if (tensor.scalar_type() != wanted && !(precision_.wide && at::isFloatingType(wanted)) &&
        !(precision_.wide && at::isComplexType(wanted)))
      refuse(std::string("is of the type ") + c10::toString(tensor.scalar_type()) +
             "; the program was exported for " + c10::toString(wanted));
    if (tensor.dim() != static_cast<std::int64_t>(facts.sizes.size()))
      refuse("has " + std::to_string(tensor.dim()) + " dimensions; the program was exported for " +
             std::to_string(facts.sizes.size()));
    for (std::size_t d = 0; d < facts.sizes.size(); ++d) {
      const std::int64_t size = tensor.size(static_cast<std::int64_t>(d));
      std::int64_t expected = size;
      if (const auto* fixed = std::get_if<std::int64_t>(&facts.sizes[d]))
        expected = *fixed;
      else
        expected = sizes.try_emplace(std::get<std::string>(facts.sizes[d]), size).first->second;
      if (size != expected)
        refuse("has size " + std::to_string(size) + " in dimension " + std::to_string(d) +
               "; the program was exported for " + std::to_string(expected));
    }
  }

  std::vector<RecordedValue> named(const std::vector<c10::IValue>& outputs) const {
    std::vector<RecordedValue> result;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const pt2::OutputSpec& spec = program_.outputs[i];
      const bool user = spec.kind == pt2::OutputSpec::Kind::user || spec.kind == pt2::OutputSpec::Kind::loss;
      const c10::IValue& value = outputs[i];
      if (user && ((value.isTensor() && value.toTensor().defined()) || value.isScalar()))
        result.push_back({spec.path, value});
    }
    return result;
  }

  void record_root(const std::vector<RecordedValue>& outputs, Recording& taps) const {
    std::string class_name;
    for (const Step& step : line_.steps)
      if (!step.node->stack.empty() && step.node->stack.front().path.empty()) {
        class_name = step.node->stack.front().class_name;
        break;
      }
    class_name = class_name.substr(class_name.rfind('.') + 1);
    for (const RecordedValue& output : outputs)
      if (output.value.isTensor()) taps.module("", class_name, 0, output.path, output.value.toTensor());
  }

  pt2::Program program_;
  Line line_;
  std::vector<ModuleSpan> spans_;
  c10::Device device_;
  std::map<std::string, at::Tensor> state_, constants_;  // on the processor, as stored
  Precision precision_;
  Taps taps_ = Taps::none;
  Routine routine_;
  std::vector<c10::IValue> held_;  // of inputs that the archive holds
  std::string contamination_;
};

}  // namespace

std::unique_ptr<Model> open_pt2_model(const std::string& path, c10::Device device) {
  try {
    return std::make_unique<Pt2Model>(path, device);
  } catch (Error& error) {
    throw error.of(path);
  }
}

}  // namespace ferry::replay
