#include <ATen/Context.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/runtime/custom_operator.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/runtime/interpreter.h>
#include <torch/csrc/jit/runtime/operator.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "src/core/error.h"
#include "src/core/text.h"
#include "validators/replay/hook.h"
#include "validators/replay/model.h"

namespace ferry::replay {
namespace {

namespace jit = ::torch::jit;

std::string first_line(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

// --- Taps: calls of modules are made to tell what they returned

// What the taps of the pass under way go into.
struct TapState {
  Recording* recording = nullptr;
  std::map<std::string, std::uint32_t> calls;  // by path
};
thread_local TapState tap_state;

// "layer1(Sequential)::forward" → "layer1"; the outermost stands for the model itself.
std::string current_module() {
  std::string path;
  for (const std::string& entry : jit::currentModuleHierarchy()) {
    const std::string name = entry.substr(0, entry.find('('));
    if (name == "TOP" || name.empty() || name == "SELF") continue;
    path += (path.empty() ? "" : ".") + name;
  }
  return path;
}

void flatten_output(const c10::IValue& value, const std::string& path, std::vector<RecordedValue>& out) {
  const auto child = [&](const std::string& step) { return path.empty() ? step : path + "." + step; };
  if (value.isTensor() || value.isScalar()) {
    if (!value.isTensor() || value.toTensor().defined()) out.push_back({path.empty() ? "0" : path, value});
  } else if (value.isTuple()) {
    const auto& elements = value.toTupleRef().elements();
    for (std::size_t i = 0; i < elements.size(); ++i)
      flatten_output(elements[i], child(std::to_string(i)), out);
  } else if (value.isList()) {
    std::size_t i = 0;
    for (const c10::IValue& element : value.toListRef())
      flatten_output(element, child(std::to_string(i++)), out);
  } else if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict())
      flatten_output(
          entry.value(),
          child(entry.key().isString() ? entry.key().toStringRef() : std::to_string(entry.key().toInt())),
          out);
  }
}

void tap(jit::Stack& stack) {
  const std::string class_name = jit::pop(stack).toStringRef();
  const std::string child = jit::pop(stack).toStringRef();
  const c10::IValue value = jit::pop(stack);
  if (tap_state.recording == nullptr) return;
  const HookPause own;
  const std::string parent = current_module();
  const std::string path = parent.empty() ? child : parent + "." + child;
  const std::uint32_t call = tap_state.calls[path]++;
  std::vector<RecordedValue> outputs;
  flatten_output(value, "", outputs);
  // A trace unpacks the pair of states; hooks saw (output, (h, c)).
  if (class_name == "LSTM" && outputs.size() == 3 && outputs[1].path == "1") {
    outputs[1].path = "1.0";
    outputs[2].path = "1.1";
  }
  for (const RecordedValue& output : outputs)
    if (output.value.isTensor())
      tap_state.recording->module(path, class_name, call, output.path, output.value.toTensor());
}

const jit::RegisterOperators kTap({jit::Operator("ferry::tap(t value, str child, str class_name) -> ()", tap,
                                                 c10::AliasAnalysisKind::CONSERVATIVE)});

// The path from the module that the graph belongs to: "layer1.0", or "" for anything but attributes of it.
std::string path_from_self(jit::Value* object, const jit::Graph& graph) {
  std::string path;
  while (object->node()->kind() == c10::prim::GetAttr) {
    const std::string& name = object->node()->s(c10::attr::name);
    path = path.empty() ? name : name + "." + path;
    object = object->node()->input();
  }
  return object == graph.inputs().at(0) ? path : std::string();
}

void insert_taps(jit::Block* block, jit::Graph& graph) {
  std::vector<jit::Node*> nodes(block->nodes().begin(), block->nodes().end());
  for (jit::Node* node : nodes) {
    for (jit::Block* inner : node->blocks()) insert_taps(inner, graph);
    if (node->kind() != c10::prim::CallMethod || !node->s(c10::attr::name).starts_with("forward")) continue;
    const std::string path = path_from_self(node->inputs().at(0), graph);
    const auto type = node->inputs().at(0)->type()->cast<c10::ClassType>();
    if (path.empty() || !type) continue;
    const jit::WithInsertPoint here(node->next());
    std::string name = type->name()->name();
    jit::Value* child = graph.insertConstant(path);
    jit::Value* class_name = graph.insertConstant(name);
    graph.insertNode(
        graph.create(c10::Symbol::fromQualString("ferry::tap"), {node->output(), child, class_name}, 0));
  }
}

// --- Devices: a program names those that it was traced or written for

// Before operators are called: some ask for a driver as soon as they see a GPU.
void set_device(jit::Block* block, jit::Graph& graph, c10::Device device, std::set<const jit::Graph*>& done) {
  const std::vector<jit::Node*> nodes(block->nodes().begin(), block->nodes().end());
  for (jit::Node* node : nodes) {
    for (jit::Block* inner : node->blocks()) set_device(inner, graph, device, done);
    if (node->kind() == c10::prim::CallFunction)
      if (const auto type = node->input(0)->type()->cast<c10::FunctionType>())
        if (jit::GraphFunction* const called = jit::tryToGraphFunction(*type->function());
            called != nullptr && done.insert(called->graph().get()).second)
          set_device(called->graph()->block(), *called->graph(), device, done);
    const bool constant = node->kind() == c10::prim::Constant || node->kind() == c10::aten::device;
    if (!constant || node->outputs().size() != 1 ||
        node->output()->type()->kind() != c10::TypeKind::DeviceObjType)
      continue;
    const auto written = jit::toIValue(node->output());
    if (written && written->isDevice() && written->toDevice().is_meta()) continue;
    const jit::WithInsertPoint here(node);
    node->output()->replaceAllUsesWith(graph.insertConstant(device));
  }
}

// --- The model

class TorchScriptModel final : public Model {
 public:
  TorchScriptModel(const std::string& path, c10::Device device)
      : module_(jit::load(path, device)), device_(device) {
    jit::setGraphExecutorOptimize(false);  // what is measured is the model, not what a compiler makes of it
    module_.eval();
    std::set<const jit::Graph*> functions;
    each_graph([&](jit::Graph& graph) { set_device(graph.block(), graph, device_, functions); });
    std::set<std::string> marked;
    for (const auto& parameter : module_.named_parameters()) marked.insert(parameter.name);
    bool buffers = false;
    for (const auto& buffer : module_.named_buffers()) {
      marked.insert(buffer.name);
      buffers = true;
    }
    // 1.4 marked no buffers: there, every tensor may be one.
    for (const auto& attribute : module_.named_attributes())
      if (attribute.value.isTensor() && attribute.value.toTensor().defined())
        state_.emplace(attribute.name,
                       Attribute{attribute.value.toTensor(), !buffers || marked.contains(attribute.name)});
  }

  std::vector<ModelWeight> weights() const override {
    std::vector<ModelWeight> result;
    for (const auto& [name, attribute] : state_)
      result.push_back(
          {name, attribute.tensor.sizes().vec(), attribute.needed && !name.ends_with("num_batches_tracked")});
    return result;
  }

  void take(NewWeights& weights) override {
    for (auto& [name, attribute] : state_) {
      if (!weights.has(name)) continue;
      at::Tensor fresh = at::empty_like(attribute.tensor);
      fresh.copy_(weights.load(name));
      attribute.tensor = fresh;
    }
    weights.forget();
  }

  at::Tensor weight(const std::string& name) const override { return state_.at(name).tensor; }

  void prepare(const Precision& precision, Taps taps) override {
    precision_ = precision;
    taps_ = taps;
    if (taps != Taps::none && !tapped_) {
      tapped_ = true;
      each_graph([](jit::Graph& graph) { insert_taps(graph.block(), graph); });
    }
    for (const auto& [name, attribute] : state_) set(name, converted(attribute.tensor));
  }

  std::vector<RecordedValue> forward(const Inputs& inputs, Recording* taps) override {
    try {
      return run(inputs, taps);
    } catch (const c10::Error& error) {
      throw Error(Code::model_failed, first_line(error.what_without_backtrace())).in(place());
    } catch (const Error&) {
      throw;
    } catch (const std::bad_alloc&) {
      throw Error(Code::out_of_memory, "there is not enough memory for the model");
    } catch (const std::exception& error) {
      throw Error(Code::model_failed, last_line(error.what())).in(place());
    }
  }

 private:
  struct Attribute {
    at::Tensor tensor;
    bool needed;
  };

  at::Tensor converted(const at::Tensor& tensor) const {
    at::Tensor result = tensor;
    if (precision_.wide && tensor.scalar_type() == at::kFloat) result = tensor.to(at::kDouble);
    if (precision_.wide && tensor.scalar_type() == at::kComplexFloat) result = tensor.to(at::kComplexDouble);
    return result.to(device_);
  }

  void set(const std::string& name, at::Tensor tensor) {
    jit::Module module = module_;
    std::string_view left = name;
    for (std::size_t dot = left.find('.'); dot != std::string_view::npos; dot = left.find('.')) {
      module = module.attr(std::string(left.substr(0, dot))).toModule();
      left.remove_prefix(dot + 1);
    }
    module.setattr(std::string(left), std::move(tensor));
  }

  // The graphs of all classes of modules, each once.
  void each_graph(const std::function<void(jit::Graph&)>& change) const {
    std::set<const c10::ClassType*> done;
    for (const jit::Module& module : module_.modules())
      if (done.insert(module.type().get()).second)
        for (const auto& method : module.get_methods()) change(*method.graph());
  }

  // An interpreter's message ends with what went wrong.
  static std::string last_line(std::string_view what) {
    while (!what.empty() && what.back() == '\n') what.remove_suffix(1);
    const std::size_t at = what.rfind('\n');
    return std::string(at == std::string_view::npos ? what : what.substr(at + 1));
  }

  static std::string place() { return "in forward"; }

  std::vector<RecordedValue> run(const Inputs& inputs, Recording* taps) {
    const auto& schema = module_.get_method("forward").function().getSchema();
    std::vector<c10::IValue> arguments;
    jit::Kwargs keywords;
    bind(schema, inputs, arguments, keywords);
    tap_state = {taps_ == Taps::modules ? taps : nullptr, {}};
    Hook hook{precision_.wide, precision_.rounding, precision_.hardware_tf32, device_, {}};
    if (taps != nullptr && taps_ == Taps::operations)
      hook.listener = [taps](const std::string& op, const std::vector<c10::IValue>& outputs) {
        listen(*taps, op, outputs);
      };
    c10::IValue output;
    {
      const HookScope scope(std::move(hook));
      output = module_.forward(std::move(arguments), keywords);
    }
    tap_state = {};
    std::vector<RecordedValue> outputs;
    flatten_output(output, "", outputs);
    if (taps != nullptr)
      for (const RecordedValue& one : outputs)
        if (one.value.isTensor())
          taps->module("", module_.type()->name()->name(), 0, one.path, one.value.toTensor());
    return outputs;
  }

  // "aten::conv2d.default" → "aten.conv2d.default".
  static void listen(Recording& taps, std::string op, const std::vector<c10::IValue>& outputs) {
    if (const std::size_t colons = op.find("::"); colons != std::string::npos) op.replace(colons, 2, ".");
    const std::string module = current_module();
    std::vector<RecordedValue> tensors;
    for (std::size_t i = 0; i < outputs.size(); ++i)
      flatten_output(outputs[i], outputs.size() == 1 ? "" : std::to_string(i), tensors);
    for (const RecordedValue& one : tensors)
      if (one.value.isTensor()) taps.operation(op, module, 0, "", one.path, one.value.toTensor());
  }

  static void bind(const c10::FunctionSchema& schema, const Inputs& inputs,
                   std::vector<c10::IValue>& arguments, jit::Kwargs& keywords) {
    std::set<std::string> used;
    for (std::size_t i = 1; i < schema.arguments().size(); ++i) {
      const c10::Argument& argument = schema.arguments()[i];
      const std::string position = std::to_string(i - 1), keyword = "kw." + argument.name();
      if (auto value = build(position, argument.type(), inputs, used))
        arguments.push_back(std::move(*value));
      else if (auto named = build(keyword, argument.type(), inputs, used))
        keywords.emplace(argument.name(), std::move(*named));
    }
    for (const auto& [path, tensor] : inputs)
      if (!used.contains(path))
        throw Error(Code::model_failed,
                    "the golden has the input " + quote(path, 60) + ", which the model does not take");
  }

  // The value of an argument from the tensors at and below its path; nothing when there are none.
  static std::optional<c10::IValue> build(const std::string& path, c10::TypePtr type, const Inputs& inputs,
                                          std::set<std::string>& used) {
    if (const auto optional = type->cast<c10::OptionalType>()) type = optional->getElementType();
    if (const auto found = inputs.find(path); found != inputs.end()) {
      used.insert(path);
      if (type->kind() == c10::TypeKind::IntType) return found->second.item().toLong();
      if (type->kind() == c10::TypeKind::FloatType) return found->second.item().toDouble();
      if (type->kind() == c10::TypeKind::BoolType) return found->second.item().toBool();
      return found->second;
    }
    if (const auto tuple = type->cast<c10::TupleType>()) {
      std::vector<c10::IValue> elements;
      for (std::size_t i = 0; i < tuple->elements().size(); ++i)
        if (auto element = build(path + "." + std::to_string(i), tuple->elements()[i], inputs, used))
          elements.push_back(std::move(*element));
      if (elements.size() == tuple->elements().size() && !elements.empty())
        return c10::ivalue::Tuple::create(std::move(elements));
    }
    if (const auto list = type->cast<c10::ListType>()) {
      c10::impl::GenericList elements(list->getElementType());
      while (auto element =
                 build(path + "." + std::to_string(elements.size()), list->getElementType(), inputs, used))
        elements.push_back(std::move(*element));
      if (!elements.empty()) return elements;
    }
    return std::nullopt;
  }

  jit::Module module_;
  c10::Device device_;
  std::map<std::string, Attribute> state_;  // on the device, in the types stored
  Precision precision_;
  Taps taps_ = Taps::none;
  bool tapped_ = false;
};

}  // namespace

std::unique_ptr<Model> open_torchscript_model(const std::string& path, c10::Device device) {
  try {
    return std::make_unique<TorchScriptModel>(path, device);
  } catch (const c10::Error& error) {
    throw Error(Code::model_failed,
                "LibTorch cannot load the file: " + first_line(error.what_without_backtrace()))
        .of(path);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Error(Code::model_failed, "LibTorch cannot load the file: " + first_line(error.what())).of(path);
  }
}

}  // namespace ferry::replay
