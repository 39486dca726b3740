#include "validators/replay/hook.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/sin.h>
#include <torch/library.h>

#include "src/core/error.h"
#include "validators/replay/routine.h"
#include "validators/replay/types.h"

namespace ferry::replay {
namespace {

constexpr c10::DispatchKey kKey = c10::DispatchKey::TESTING_ONLY_GenericMode;

thread_local std::optional<Hook> active;
thread_local int hook_depth = 0;

c10::IValue widened_value(const c10::IValue& value) {
  if (value.isTensor()) return widened(value.toTensor());
  if (value.isTensorList()) {
    c10::List<at::Tensor> list;
    for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(widened(tensor));
    return list;
  }
  return value;
}

bool is_scalar_type(const c10::Argument& argument) {
  c10::TypePtr type = argument.real_type();
  if (const auto optional = type->cast<c10::OptionalType>()) type = optional->getElementType();
  return type->kind() == c10::TypeKind::ScalarTypeType;
}

void widen(const c10::FunctionSchema& schema, c10::IValue* arguments) {
  for (std::size_t i = 0; i < schema.arguments().size(); ++i) {
    arguments[i] = widened_value(arguments[i]);
    if (arguments[i].isInt() && is_scalar_type(schema.arguments()[i])) {
      const auto type = static_cast<c10::ScalarType>(arguments[i].toInt());
      if (type == at::kFloat) arguments[i] = static_cast<std::int64_t>(at::kDouble);
      if (type == at::kComplexFloat) arguments[i] = static_cast<std::int64_t>(at::kComplexDouble);
    }
  }
}

// Before 1.8 stft always returned real pairs, and files of that time do not say so.
void restore_old_stft(const c10::FunctionSchema& schema, c10::IValue* arguments) {
  if (schema.name() != "aten::stft") return;
  for (std::size_t i = 0; i < schema.arguments().size(); ++i)
    if (schema.arguments()[i].name() == "return_complex" && arguments[i].isNone() &&
        arguments[0].isTensor() && !arguments[0].toTensor().is_complex())
      arguments[i] = false;
}

// x.cuda() where the run is elsewhere.  What moves to a processor stays: LibTorch reads numbers there, with a
// pointer, for lists, for prints and for tensors made of lists.
void move_to(c10::Device device, const c10::FunctionSchema& schema, c10::IValue* arguments) {
  for (std::size_t i = 0; i < schema.arguments().size(); ++i)
    if (arguments[i].isDevice() && !arguments[i].toDevice().is_meta() && !arguments[i].toDevice().is_cpu())
      arguments[i] = device;
}

// A trace has the switches of cuDNN written into its convolutions; those of 1.7 and later allow TF32.
// Source: aten::_convolution in the code/ of traces by 1.4.0 and 1.6.0 (12 arguments), 1.12.1 and 2.13.0 (13,
// the last is allow_tf32, true); seen on an H200.
void restore_switches(const Hook& hook, const c10::FunctionSchema& schema, c10::IValue* arguments) {
  if (schema.name() != "aten::_convolution") return;
  for (std::size_t i = 0; i < schema.arguments().size(); ++i) {
    const std::string& name = schema.arguments()[i].name();
    if (name == "allow_tf32") arguments[i] = hook.tf32;
    if (name == "benchmark") arguments[i] = false;
    if (name == "deterministic") arguments[i] = true;
  }
}

struct Depth {
  Depth() { ++hook_depth; }
  ~Depth() { --hook_depth; }
};

void on_call(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  const c10::FunctionSchema& schema = op.schema();
  const Hook* hook = active ? &*active : nullptr;
  if (hook != nullptr) {
    const HookPause own;
    c10::IValue* arguments = stack->data() + (stack->size() - schema.arguments().size());
    restore_old_stft(schema, arguments);
    if (hook_depth == 0) restore_switches(*hook, schema, arguments);
    if (hook->device && hook_depth == 0) move_to(*hook->device, schema, arguments);
    if (hook->wide) widen(schema, arguments);
    if (hook->rounding != Rounding::none) {
      const std::vector<bool> factors = factors_of(schema);
      for (std::size_t i = 0; i < factors.size(); ++i)
        if (factors[i]) arguments[i] = rounded(arguments[i], hook->rounding);
    }
  }
  {
    const Depth inside;
    const RecurrentScope exact(hook != nullptr && hook->device && hook->device->is_cuda() &&
                               is_recurrent(schema));
    op.redispatchBoxed(keys & c10::DispatchKeySet(c10::DispatchKeySet::FULL_AFTER, kKey), stack);
  }
  if (hook == nullptr) return;
  const HookPause own;
  c10::IValue* results = stack->data() + (stack->size() - schema.returns().size());
  const std::vector<c10::IValue> outputs(results, results + schema.returns().size());
  // Factories make float32 where nobody says otherwise.
  if (hook->wide)
    for (std::size_t i = 0; i < outputs.size(); ++i) results[i] = widened_value(outputs[i]);
  if (hook_depth == 0 && hook->listener)
    hook->listener(
        schema.name() + (schema.overload_name().empty() ? ".default" : "." + schema.overload_name()),
        std::vector<c10::IValue>(results, results + outputs.size()));
}

TORCH_LIBRARY_IMPL(_, TESTING_ONLY_GenericMode, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&on_call>());
}

// The sine of a float32 tensor is a float64 tensor when the hook is called.
bool hook_works() {
  const at::Tensor input = at::ones({1}, at::kFloat);
  active = Hook{.wide = true, .rounding = Rounding::none, .tf32 = false, .device = {}, .listener = {}};
  c10::impl::tls_set_dispatch_key_included(kKey, true);
  const at::Tensor output = at::sin(input);
  c10::impl::tls_set_dispatch_key_included(kKey, false);
  active.reset();
  return output.scalar_type() == at::kDouble;
}

}  // namespace

HookPause::HookPause() : guard_(kKey) {}

HookScope::HookScope(Hook hook) {
  static const bool works = hook_works();
  if (!works)
    throw Error(Code::model_failed,
                "this LibTorch does not let operators of TorchScript be changed on the way");
  active = std::move(hook);
  hook_depth = 0;
  c10::impl::tls_set_dispatch_key_included(kKey, true);
}

HookScope::~HookScope() {
  c10::impl::tls_set_dispatch_key_included(kKey, false);
  active.reset();
}

}  // namespace ferry::replay
