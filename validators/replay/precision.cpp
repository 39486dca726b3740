#include "validators/replay/precision.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/autocast_mode.h>

#include <array>

#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::replay {
namespace {

struct Row {
  std::string_view name;
  bool wide;
  Rounding rounding;
  c10::ScalarType autocast;  // Undefined: none
  bool hardware_tf32;
};

constexpr auto kNone = c10::ScalarType::Undefined;
constexpr auto kRows = std::to_array<Row>({
    {"f32", false, Rounding::none, kNone, false},
    {"f64", true, Rounding::none, kNone, false},
    {"tf32-rne", false, Rounding::tf32_nearest, kNone, false},
    {"tf32-rz", false, Rounding::tf32_towards_zero, kNone, false},
    {"bf16", false, Rounding::bfloat16, kNone, false},
    {"fp16", false, Rounding::float16, kNone, false},
    {"autocast-bf16", false, Rounding::none, c10::ScalarType::BFloat16, false},
    {"autocast-fp16", false, Rounding::none, c10::ScalarType::Half, false},
    {"tf32", false, Rounding::none, kNone, true},
});

constexpr std::int64_t kTf32Dropped = 13;  // bits of float32's significand that TF32 lacks

// Ties go to even: half of the last kept place, less one where that place is 0.
at::Tensor to_tf32(const at::Tensor& tensor, bool nearest) {
  at::Tensor bits = tensor.contiguous().view(at::kInt);
  if (nearest) {
    const std::int64_t half = (std::int64_t{1} << (kTf32Dropped - 1)) - 1;
    bits = bits + (bits.bitwise_right_shift(kTf32Dropped).bitwise_and_(1)).add_(half);
  }
  return bits.bitwise_and(-(std::int64_t{1} << kTf32Dropped)).view(at::kFloat);
}

void set_tf32(at::Float32Precision precision) {
  for (const at::Float32Op op : {at::Float32Op::CONV, at::Float32Op::RNN, at::Float32Op::MATMUL})
    at::globalContext().setFloat32Precision(at::Float32Backend::CUDA, op, precision);
}

}  // namespace

Precision precision_of(std::string_view name) {
  for (const Row& row : kRows)
    if (row.name == name) {
      Precision precision{std::string(name), row.wide, row.rounding, std::nullopt, row.hardware_tf32};
      if (row.autocast != kNone) precision.autocast = row.autocast;
      return precision;
    }
  std::string known;
  for (const Row& row : kRows) known += (known.empty() ? "" : ", ") + std::string(row.name);
  throw Error(Code::bad_usage, "there is no run " + quote(name, 40) + "; the runs are " + known);
}

at::Tensor rounded(const at::Tensor& tensor, Rounding rounding) {
  if (rounding == Rounding::none || !tensor.defined() || tensor.scalar_type() != at::kFloat) return tensor;
  switch (rounding) {
    case Rounding::tf32_nearest:
      return to_tf32(tensor, true);
    case Rounding::tf32_towards_zero:
      return to_tf32(tensor, false);
    case Rounding::bfloat16:
      return tensor.to(at::kBFloat16).to(at::kFloat);
    default:
      return tensor.to(at::kHalf).to(at::kFloat);
  }
}

c10::IValue rounded(const c10::IValue& value, Rounding rounding) {
  if (value.isTensor()) return replay::rounded(value.toTensor(), rounding);
  if (!value.isTensorList()) return value;
  // Among the parameters of recurrent layers, vectors are biases: they are added, not multiplied.
  c10::List<at::Tensor> list;
  for (const at::Tensor& tensor : value.toTensorVector())
    list.push_back(tensor.dim() < 2 ? tensor : replay::rounded(tensor, rounding));
  return list;
}

void be_exact() {
  auto& context = at::globalContext();
  // The new interface only: after one call of it, torch refuses questions in the old one.
  for (const at::Float32Backend backend : {at::Float32Backend::CUDA, at::Float32Backend::MKLDNN})
    for (const at::Float32Op op : {at::Float32Op::CONV, at::Float32Op::RNN, at::Float32Op::MATMUL})
      context.setFloat32Precision(backend, op, at::Float32Precision::IEEE);
  context.setBenchmarkCuDNN(false);
  context.setDeterministicCuDNN(true);
  context.setDeterministicMkldnn(true);
  // A warning where there is no deterministic form: the repeats of a run show what it costs.
  context.setDeterministicAlgorithms(true, true);
  context.setDeterministicFillUninitializedMemory(false);
}

PrecisionScope::PrecisionScope(const Precision& precision, c10::Device device)
    : precision_(precision), device_(device) {
  if (precision_.hardware_tf32 && !device_.is_cuda())
    throw Error(Code::bad_usage, "the run 'tf32' is what a GPU does by itself; on a processor there is none")
        .with_hint("'tf32-rne' and 'tf32-rz' imitate it anywhere");
  if (precision_.hardware_tf32) set_tf32(at::Float32Precision::TF32);
  if (precision_.autocast) {
    at::autocast::set_autocast_dtype(device_.type(), *precision_.autocast);
    at::autocast::set_autocast_enabled(device_.type(), true);
    at::autocast::set_autocast_cache_enabled(false);
  }
}

PrecisionScope::~PrecisionScope() {
  if (precision_.hardware_tf32) set_tf32(at::Float32Precision::IEEE);
  if (precision_.autocast) {
    at::autocast::set_autocast_enabled(device_.type(), false);
    at::autocast::clear_cache();
  }
}

RecurrentScope::RecurrentScope(bool recurrent) {
  if (!recurrent) return;
  auto& context = at::globalContext();
  const auto precision = context.float32Precision(at::Float32Backend::CUDA, at::Float32Op::RNN);
  changed_ = precision == at::Float32Precision::IEEE && context.userEnabledCuDNN() &&
             !at::autocast::is_autocast_enabled(at::kCUDA);
  if (changed_) context.setUserEnabledCuDNN(false);
}

RecurrentScope::~RecurrentScope() {
  if (changed_) at::globalContext().setUserEnabledCuDNN(true);
}

AutocastScope::AutocastScope(c10::DeviceType device, bool enabled, c10::ScalarType dtype)
    : device_(device),
      enabled_(at::autocast::is_autocast_enabled(device)),
      cache_(at::autocast::is_autocast_cache_enabled()),
      dtype_(at::autocast::get_autocast_dtype(device)) {
  at::autocast::set_autocast_dtype(device, dtype);
  at::autocast::set_autocast_enabled(device, enabled);
  at::autocast::set_autocast_cache_enabled(false);
}

AutocastScope::~AutocastScope() {
  at::autocast::set_autocast_enabled(device_, enabled_);
  at::autocast::set_autocast_dtype(device_, dtype_);
  at::autocast::set_autocast_cache_enabled(cache_);
}

}  // namespace ferry::replay
