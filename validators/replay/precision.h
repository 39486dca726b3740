// How a run computes: in which precision, and what is rounded on the way.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <string_view>

namespace ferry::replay {

// What tensor cores do to the factors of a product before they multiply.
enum class Rounding : std::uint8_t { none, tf32_nearest, tf32_towards_zero, bfloat16, float16 };

struct Precision {
  std::string name;
  bool wide = false;  // weights, inputs and constants in float64
  Rounding rounding = Rounding::none;
  std::optional<c10::ScalarType> autocast;
  bool hardware_tf32 = false;  // what a GPU does by itself
};

// Throws Code::bad_usage for a name that is none: f32, f64, tf32-rne, tf32-rz, bf16, fp16, autocast-bf16,
// autocast-fp16, tf32.
Precision precision_of(std::string_view name);

// The tensor with every float32 element rounded; any other tensor as it is.
at::Tensor rounded(const at::Tensor& tensor, Rounding rounding);
// The factor of a product, which may be a list of tensors.
c10::IValue rounded(const c10::IValue& value, Rounding rounding);

// Exact arithmetic, as far as the libraries let themselves be told: IEEE float32 everywhere, deterministic
// algorithms, no search for the fastest one.  For the whole process.
void be_exact();

// Settings for one run, undone with the scope.
class PrecisionScope {
 public:
  PrecisionScope(const Precision& precision, c10::Device device);
  ~PrecisionScope();
  PrecisionScope(const PrecisionScope&) = delete;
  PrecisionScope& operator=(const PrecisionScope&) = delete;

 private:
  Precision precision_;
  c10::Device device_;
};

// RNNs without cuDNN in exact runs, undone with the scope: it is less exact than float32 allows, as it would
// be with approximated sigmoids.  Runs in TF32 and under autocast keep it, as PyTorch does. Source: a
// bidirectional LSTM on an H200, cuDNN 9.19: 6.0e-6 from float64, without it 1.8e-7, on a processor 1.2e-7.
class RecurrentScope {
 public:
  explicit RecurrentScope(bool recurrent);
  ~RecurrentScope();
  RecurrentScope(const RecurrentScope&) = delete;
  RecurrentScope& operator=(const RecurrentScope&) = delete;

 private:
  bool changed_ = false;
};

// Autocast as the exported program or TorchScript file itself asks for it, undone with the scope.
class AutocastScope {
 public:
  AutocastScope(c10::DeviceType device, bool enabled, c10::ScalarType dtype);
  ~AutocastScope();
  AutocastScope(const AutocastScope&) = delete;
  AutocastScope& operator=(const AutocastScope&) = delete;

 private:
  c10::DeviceType device_;
  bool enabled_, cache_;
  c10::ScalarType dtype_;
};

}  // namespace ferry::replay
