#include "validators/replay/routine.h"

#include <ATen/ScalarOps.h>
#include <ATen/core/List.h>

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <string_view>

#include "src/core/error.h"
#include "src/core/text.h"
#include "validators/replay/types.h"

namespace ferry::replay {
namespace {

using pt2::Argument;

[[noreturn]] void unfit(const std::string& what) { throw Error(Code::unsupported_container, what); }

// --- Operators whose factors tensor cores round

constexpr auto kProducts = std::to_array<std::string_view>({
    "aten::mm",
    "aten::addmm",
    "aten::bmm",
    "aten::baddbmm",
    "aten::addbmm",
    "aten::linear",
    "aten::matmul",
    "aten::mv",
    "aten::addmv",
    "aten::dot",
    "aten::einsum",
    "aten::bilinear",
    "aten::conv1d",
    "aten::conv2d",
    "aten::conv3d",
    "aten::conv_transpose1d",
    "aten::conv_transpose2d",
    "aten::conv_transpose3d",
    "aten::convolution",
    "aten::_convolution",
    "aten::scaled_dot_product_attention",
    "aten::lstm",
    "aten::gru",
    "aten::rnn_tanh",
    "aten::rnn_relu",
    "aten::lstm_cell",
    "aten::gru_cell",
    "aten::rnn_tanh_cell",
    "aten::rnn_relu_cell",
});

// What is added to a product is not a factor of it.
bool is_summand(std::string_view op, std::string_view argument) {
  if (argument == "bias" || argument == "b_ih" || argument == "b_hh" || argument == "attn_mask") return true;
  return argument == "self" &&
         (op == "aten::addmm" || op == "aten::baddbmm" || op == "aten::addbmm" || op == "aten::addmv");
}

}  // namespace

bool is_recurrent(const c10::FunctionSchema& schema) {
  constexpr auto kRecurrent =
      std::to_array<std::string_view>({"aten::lstm", "aten::gru", "aten::rnn_tanh", "aten::rnn_relu"});
  return std::find(kRecurrent.begin(), kRecurrent.end(), schema.name()) != kRecurrent.end();
}

std::vector<bool> factors_of(const c10::FunctionSchema& schema) {
  if (std::find(kProducts.begin(), kProducts.end(), schema.name()) == kProducts.end()) return {};
  std::vector<bool> factors;
  for (const c10::Argument& argument : schema.arguments())
    factors.push_back(!is_summand(schema.name(), argument.name()));
  return factors;
}

namespace {

// --- Arguments

class ArgumentMaker {
 public:
  explicit ArgumentMaker(const RoutineOptions& options) : options_(options) {}

  Source make(const Argument& argument, c10::TypePtr type, std::optional<std::int32_t> fixed_size) const {
    if (const auto optional = type->cast<c10::OptionalType>()) {
      if (argument.is_none()) return constant({});
      type = optional->getElementType();
    }
    if (const auto* value = argument.get<pt2::Value>()) {
      Source source;
      source.kind = Source::Kind::slot;
      source.slot = value->id;
      source.tensor = type->kind() == c10::TypeKind::TensorType;
      return source;
    }
    if (const auto list = type->cast<c10::ListType>())
      return make_list(argument, list->getElementType(), fixed_size);
    return constant(plain(argument, *type));
  }

  // Without a schema: of symbols and conditions.
  Source make_number(const Argument& argument) const {
    if (const auto* value = argument.get<pt2::Value>()) {
      Source source;
      source.kind = Source::Kind::slot;
      source.slot = value->id;
      return source;
    }
    if (const auto* number = argument.get<std::int64_t>()) return constant(*number);
    if (const auto* number = argument.get<double>()) return constant(*number);
    if (const auto* truth = argument.get<bool>()) return constant(*truth);
    if (const auto* text = argument.get<std::string>()) return constant(*text);
    if (argument.is_none()) return constant({});
    unfit("an argument is of a kind that is not replayed");
  }

 private:
  static Source constant(c10::IValue value) {
    Source source;
    source.constant = std::move(value);
    return source;
  }

  c10::ScalarType scalar_type(DType dtype) const {
    if (options_.wide && dtype == DType::float32) dtype = DType::float64;
    if (options_.wide && dtype == DType::complex64) dtype = DType::complex128;
    return scalar_type_of(dtype);
  }

  // The program runs on one device, whichever it was exported for.
  c10::Device device(const pt2::Device& device) const {
    return device.type == "meta" ? c10::Device(c10::kMeta) : options_.device;
  }

  static std::optional<c10::Scalar> scalar(const Argument& argument) {
    if (const auto* number = argument.get<std::int64_t>()) return c10::Scalar(*number);
    if (const auto* number = argument.get<double>()) return c10::Scalar(*number);
    if (const auto* truth = argument.get<bool>()) return c10::Scalar(*truth);
    if (const auto* number = argument.get<std::complex<double>>())
      return c10::Scalar(c10::complex<double>(number->real(), number->imag()));
    return std::nullopt;
  }

  c10::IValue plain(const Argument& argument, const c10::Type& type) const {
    switch (type.kind()) {
      case c10::TypeKind::TensorType:
        if (argument.is_none()) return at::Tensor();
        if (const auto number = scalar(argument)) return at::native::wrapped_scalar_tensor(*number);
        break;
      case c10::TypeKind::NumberType:
        if (const auto number = scalar(argument)) return *number;
        break;
      case c10::TypeKind::FloatType:
        if (const auto number = scalar(argument); number && !number->isComplex()) return number->toDouble();
        break;
      case c10::TypeKind::BoolType:
        if (const auto* truth = argument.get<bool>()) return *truth;
        if (const auto* number = argument.get<std::int64_t>()) return *number != 0;
        break;
      case c10::TypeKind::StringType:
        if (const auto* text = argument.get<std::string>()) return *text;
        break;
      case c10::TypeKind::DeviceObjType:
        if (const auto* named = argument.get<pt2::Device>()) return device(*named);
        break;
      case c10::TypeKind::IntType:
      case c10::TypeKind::SymIntType:
      case c10::TypeKind::ScalarTypeType:
      case c10::TypeKind::LayoutType:
      case c10::TypeKind::MemoryFormatType:
        if (const auto* number = argument.get<std::int64_t>()) return *number;
        if (const auto* truth = argument.get<bool>()) return std::int64_t{*truth};
        if (const auto* dtype = argument.get<DType>()) return static_cast<std::int64_t>(scalar_type(*dtype));
        if (const auto* layout = argument.get<pt2::Layout>())
          return static_cast<std::int64_t>(layout_of(*layout));
        if (const auto* format = argument.get<pt2::MemoryFormat>())
          return static_cast<std::int64_t>(memory_format_of(*format));
        break;
      default:
        break;
    }
    if (argument.is_none()) return {};
    unfit("an argument does not fit the type " + type.str());
  }

  Source make_list(const Argument& argument, const c10::TypePtr& element,
                   std::optional<std::int32_t> fixed_size) const {
    Source source;
    source.kind = Source::Kind::list;
    source.element = element;
    const auto add = [&](const auto& item) { source.items.push_back(make(Argument{item}, element, {})); };
    if (const auto* list = argument.get<pt2::List>())
      for (const Argument& item : *list) source.items.push_back(make(item, element, {}));
    else if (const auto* integers = argument.get<std::vector<std::int64_t>>())
      for (const std::int64_t item : *integers) add(item);
    else if (const auto* reals = argument.get<std::vector<double>>())
      for (const double item : *reals) add(item);
    else if (const auto* truths = argument.get<std::vector<bool>>())
      for (const bool item : *truths) add(item);
    else if (const auto* texts = argument.get<std::vector<std::string>>())
      for (const std::string& item : *texts) add(item);
    else if (argument.get<std::int64_t>() != nullptr || argument.get<double>() != nullptr)
      for (std::int32_t i = 0; i < std::clamp(fixed_size.value_or(1), 1, 16);
           ++i)  // int[2] takes 3 as [3, 3]
        source.items.push_back(make(argument, element, {}));
    else
      unfit("an argument is no list of " + element->str());
    const bool known = std::all_of(source.items.begin(), source.items.end(),
                                   [](const Source& item) { return item.kind == Source::Kind::constant; });
    if (!known) return source;
    return constant(assemble(source, {}));
  }

  const RoutineOptions& options_;
};

// --- Lists, by the type of their elements

template <typename T, typename Get>
c10::IValue typed_list(const std::vector<c10::IValue>& values, const Get& get) {
  c10::List<T> list;
  list.reserve(values.size());
  for (const c10::IValue& value : values) list.push_back(get(value));
  return list;
}

c10::IValue list_of(const c10::TypePtr& element, const std::vector<c10::IValue>& values) {
  switch (element->kind()) {
    case c10::TypeKind::TensorType:
      return typed_list<at::Tensor>(values, [](const c10::IValue& v) { return v.toTensor(); });
    case c10::TypeKind::OptionalType:
      if (element->castRaw<c10::OptionalType>()->getElementType()->kind() == c10::TypeKind::TensorType)
        return typed_list<std::optional<at::Tensor>>(values, [](const c10::IValue& v) {
          return v.isNone() ? std::optional<at::Tensor>() : v.toTensor();
        });
      break;
    case c10::TypeKind::IntType:
    case c10::TypeKind::SymIntType:
      return typed_list<std::int64_t>(values, [](const c10::IValue& v) { return v.toInt(); });
    case c10::TypeKind::FloatType:
      return typed_list<double>(values, [](const c10::IValue& v) { return v.toScalar().toDouble(); });
    case c10::TypeKind::BoolType:
      return typed_list<bool>(values, [](const c10::IValue& v) { return v.toBool(); });
    case c10::TypeKind::StringType:
      return typed_list<std::string>(values, [](const c10::IValue& v) { return v.toStringRef(); });
    default:
      break;
  }
  c10::impl::GenericList list(element);
  for (const c10::IValue& value : values) list.push_back(value);
  return list;
}

}  // namespace

c10::IValue assemble(const Source& source, const std::vector<c10::IValue>& slots) {
  switch (source.kind) {
    case Source::Kind::constant:
      return source.constant;
    case Source::Kind::slot: {
      const c10::IValue& value = slots[source.slot];
      if (source.tensor && value.isScalar()) return at::native::wrapped_scalar_tensor(value.toScalar());
      return value;
    }
    case Source::Kind::list:
      break;
  }
  std::vector<c10::IValue> values;
  values.reserve(source.items.size());
  for (const Source& item : source.items) values.push_back(assemble(item, slots));
  return list_of(source.element, values);
}

namespace {

// --- Steps

// "torch.ops.aten.conv2d.default" → aten::conv2d, "".
std::pair<std::string, std::string> operator_name(const std::string& target) {
  constexpr std::string_view kPrefix = "torch.ops.";
  const std::size_t space = target.find('.', kPrefix.size());
  const std::size_t overload = target.rfind('.');
  if (space == std::string::npos || overload <= space)
    unfit("the target " + quote(target, 80) + " is no operator");
  std::string last = target.substr(overload + 1);
  return {target.substr(kPrefix.size(), space - kPrefix.size()) +
              "::" + target.substr(space + 1, overload - space - 1),
          last == "default" ? std::string() : last};
}

// Checks of what the exporter saw; other precisions and devices are what a replay is for.
bool is_assertion_of_metadata(const std::string& target) {
  return target == "torch.ops.aten._assert_tensor_metadata.default";
}

class RoutineMaker {
 public:
  RoutineMaker(const Line& line, const RoutineOptions& options)
      : line_(line),
        options_(options),
        arguments_(options),
        owner_(line.symbolic.size(), kNobody),
        root_(line.symbolic.size()) {
    std::iota(root_.begin(), root_.end(), Slot{0});
  }

  Routine make() {
    Routine routine;
    for (std::size_t i = 0; i < line_.inputs.size(); ++i)
      if (const auto* value = line_.inputs[i].get<pt2::Value>()) owner_[value->id] = i;
    written_.assign(line_.inputs.size(), false);
    for (const Step& step : line_.steps) routine.instructions.push_back(make_step(step));
    for (const Argument& output : line_.outputs) routine.outputs.push_back(make_output(output));
    find_dead(routine);
    loosen_views(routine.instructions);
    routine.written = std::move(written_);
    return routine;
  }

 private:
  static constexpr std::size_t kNobody = SIZE_MAX;

  Instruction make_step(const Step& step) {
    try {
      Instruction instruction;
      instruction.kind = step.kind;
      instruction.step = &step;
      instruction.autocast = step.autocast;
      order_[&step] = order_.size() + 1;
      for (const Argument& output : step.outputs) instruction.targets.push_back(make_target(output));
      if (step.kind == Step::Kind::operation) make_operation(step, instruction);
      if (step.kind == Step::Kind::symbol) make_symbol(step, instruction);
      if (step.kind == Step::Kind::condition) make_condition(step, instruction);
      return instruction;
    } catch (Error& error) {
      throw error.in("in node " + quote(step.node->name.empty() ? step.node->target : step.node->name, 60));
    }
  }

  static Target make_target(const Argument& output) {
    Target target;
    if (const auto* value = output.get<pt2::Value>())
      target.slots.push_back(value->id);
    else if (const auto* list = output.get<pt2::List>()) {
      target.list = true;
      for (const Argument& item : *list) {
        const auto* made = item.get<pt2::Value>();
        target.slots.push_back(made == nullptr ? std::nullopt : std::optional<Slot>(made->id));
      }
    } else
      target.slots.push_back(std::nullopt);
    return target;
  }

  void make_operation(const Step& step, Instruction& instruction) {
    const std::string& node_target = step.node->target;
    if (is_assertion_of_metadata(node_target)) return;
    const auto [name, overload] = operator_name(node_target);
    const auto found = c10::Dispatcher::singleton().findSchema({name, overload});
    if (!found)
      unfit("the operator " + quote(name + (overload.empty() ? "" : "." + overload), 80) +
            " is not registered in LibTorch: it is a custom operator, or one of another version");
    instruction.op = *found;
    const c10::FunctionSchema& schema = found->schema();
    if (step.outputs.size() > schema.returns().size()) unfit("a node has more outputs than its operator");
    std::size_t taken = 0;
    for (const c10::Argument& argument : schema.arguments()) {
      const pt2::NamedArgument* given = find_argument(step, argument.name());
      taken += given == nullptr ? 0u : 1u;
      instruction.arguments.push_back(make_argument(argument, given));
      if (argument.alias_info() != nullptr && argument.alias_info()->isWrite() && given != nullptr)
        note_write(given->value);
    }
    if (taken != step.inputs.size()) unfit("a node has arguments that its operator does not take");
    instruction.factors = factors_of(schema);
    instruction.recurrent = is_recurrent(schema);
    follow_views(step, schema);
  }

  static const pt2::NamedArgument* find_argument(const Step& step, const std::string& name) {
    for (const pt2::NamedArgument& input : step.inputs)
      if (input.name == name) return &input;
    return nullptr;
  }

  Source make_argument(const c10::Argument& argument, const pt2::NamedArgument* given) const {
    if (given != nullptr) {
      try {
        return arguments_.make(given->value, argument.type(), argument.N());
      } catch (Error& error) {
        throw error.in("in argument " + quote(argument.name(), 40));
      }
    }
    Source source;
    if (argument.default_value())
      source.constant = *argument.default_value();
    else if (argument.type()->kind() != c10::TypeKind::OptionalType)
      unfit("the argument " + quote(argument.name(), 40) + " is missing");
    return source;
  }

  // Inputs that an operator writes to, itself or through a view.
  void note_write(const Argument& argument) {
    std::vector<Slot> slots;
    slots_in(argument, slots);
    for (const Slot slot : slots) {
      last_write_[root_[slot]] = order_.size();
      if (owner_[slot] != kNobody) written_[owner_[slot]] = true;
    }
  }

  void follow_views(const Step& step, const c10::FunctionSchema& schema) {
    for (std::size_t i = 0; i < step.outputs.size(); ++i) {
      if (schema.returns()[i].alias_info() == nullptr) continue;
      std::vector<Slot> made, from;
      slots_in(step.outputs[i], made);
      for (const c10::Argument& argument : schema.arguments())
        if (const auto* given = find_argument(step, argument.name());
            given != nullptr && argument.alias_info() != nullptr)
          slots_in(given->value, from);
      for (const Slot slot : from)
        for (const Slot view : made) {
          root_[view] = root_[slot];
          if (owner_[slot] != kNobody) owner_[view] = owner_[slot];
        }
    }
  }

  void make_symbol(const Step& step, Instruction& instruction) const {
    instruction.symbol = symbol_of(step.node->target);
    if (instruction.symbol == Symbol::none)
      unfit("the function " + quote(step.node->target, 80) + " is not replayed");
    for (const pt2::NamedArgument& input : step.inputs)
      instruction.arguments.push_back(arguments_.make_number(input.value));
    if (step.outputs.size() != 1) unfit("a function on numbers has not one output");
  }

  void make_condition(const Step& step, Instruction& instruction) {
    instruction.arguments.push_back(arguments_.make_number(step.inputs.front().value));
    for (const Branch& branch : step.branches) {
      std::vector<Instruction> steps;
      for (const Step& inner : branch.steps) steps.push_back(make_step(inner));
      instruction.branches.push_back(std::move(steps));
      std::vector<Source> outputs;
      for (const Argument& output : branch.outputs) outputs.push_back(make_output(output));
      instruction.branch_outputs.push_back(std::move(outputs));
    }
  }

  Source make_output(const Argument& output) const {
    if (output.get<pt2::List>() != nullptr) unfit("an output of the graph is a list");
    return arguments_.make_number(output);
  }

  // The strides of a program are those of the kernels that it was exported on: attention on a GPU lays its
  // result out otherwise, and no view of it has the shape that a processor's has.  A copy does as well, where
  // nothing is written through it.
  void loosen_views(std::vector<Instruction>& instructions) const {
    for (Instruction& instruction : instructions) {
      for (auto& branch : instruction.branches) loosen_views(branch);
      if (!instruction.op || instruction.targets.size() != 1 || instruction.targets[0].slots.size() != 1 ||
          !instruction.targets[0].slots[0])
        continue;
      const c10::FunctionSchema& schema = instruction.op->schema();
      const bool view = schema.name() == "aten::view" && schema.overload_name().empty();
      if (view && !is_written_after(root_[*instruction.targets[0].slots[0]], instruction.step))
        instruction.op = c10::Dispatcher::singleton().findSchemaOrThrow("aten::reshape", "");
    }
  }

  bool is_written_after(Slot root, const Step* step) const {
    const auto last = last_write_.find(root);
    return last != last_write_.end() && last->second > order_.at(step);
  }

  // --- Liveness

  static void slots_taken(const std::vector<Source>& sources, std::vector<Slot>& out) {
    for (const Source& source : sources) {
      if (source.kind == Source::Kind::slot) out.push_back(source.slot);
      slots_taken(source.items, out);
    }
  }

  static void slots_touched(const Instruction& instruction, std::vector<Slot>& out) {
    slots_taken(instruction.arguments, out);
    for (const Target& target : instruction.targets)
      for (const auto& slot : target.slots)
        if (slot) out.push_back(*slot);
    for (const auto& branch : instruction.branches)
      for (const Instruction& inner : branch) slots_touched(inner, out);
    for (const auto& outputs : instruction.branch_outputs) slots_taken(outputs, out);
  }

  void find_dead(Routine& routine) const {
    std::vector<std::size_t> last(line_.symbolic.size(), kNobody);
    std::vector<Slot> touched;
    for (std::size_t i = 0; i < routine.instructions.size(); ++i) {
      touched.clear();
      slots_touched(routine.instructions[i], touched);
      for (const Slot slot : touched) last[slot] = i;
    }
    if (options_.taps != nullptr)
      for (const ModuleSpan& span : *options_.taps)
        for (const ModuleOutput& output : span.outputs)
          if (last[output.slot] != kNobody) last[output.slot] = std::max(last[output.slot], span.last_step);
    touched.clear();
    slots_taken(routine.outputs, touched);
    for (const Slot slot : touched) last[slot] = kNobody;
    for (Slot slot = 0; slot < last.size(); ++slot)
      if (last[slot] != kNobody) routine.instructions[last[slot]].dead.push_back(slot);
  }

  const Line& line_;
  const RoutineOptions& options_;
  ArgumentMaker arguments_;
  std::vector<std::size_t> owner_;  // of slots: the input whose memory they are, or show
  std::vector<Slot> root_;          // of slots: the first one of those that show the same memory
  std::map<const Step*, std::size_t> order_;
  std::map<Slot, std::size_t> last_write_;  // of roots, in the order of steps
  std::vector<bool> written_;
};

}  // namespace

Routine make_routine(const Line& line, const RoutineOptions& options) {
  return RoutineMaker(line, options).make();
}

}  // namespace ferry::replay
