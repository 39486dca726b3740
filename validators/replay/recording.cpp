#include "validators/replay/recording.h"

#include <ATen/ATen.h>

#include <cmath>

#include "formats/golden/layout.h"
#include "formats/golden/sample.h"
#include "src/core/version.h"
#include "src/hash/sha256.h"
#include "validators/replay/stored.h"

namespace ferry::replay {
namespace {

struct Facts {
  double l2 = 0, max = 0, mean = 0;
  std::int64_t nonfinite = 0;
};

// In double, whatever the type: the largest float32 tensor has a square that float32 has not.
Facts facts_of(const at::Tensor& tensor) {
  Facts facts;
  const std::int64_t count = tensor.numel();
  if (count == 0) return facts;
  at::Tensor wide = tensor.is_complex() ? tensor.to(at::kComplexDouble) : tensor.to(at::kDouble);
  const at::Tensor finite = wide.isfinite();
  facts.nonfinite = count - finite.sum().item<std::int64_t>();
  if (facts.nonfinite > 0) wide = at::where(finite, wide, at::zeros({}, wide.options()));
  const at::Tensor size = wide.abs(), real = wide.is_complex() ? at::real(wide) : wide;
  facts.l2 = std::sqrt((size * size).sum().item<double>());
  facts.max = size.max().item<double>();
  if (count > facts.nonfinite)
    facts.mean = real.sum().item<double>() / static_cast<double>(count - facts.nonfinite);
  return facts;
}

// numpy has no such types; float32 and complex64 hold their values exactly.
at::Tensor storable(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kBFloat16:
    case at::kHalf:
    case at::kFloat8_e4m3fn:
    case at::kFloat8_e5m2:
    case at::kFloat8_e4m3fnuz:
    case at::kFloat8_e5m2fnuz:
    case at::kFloat8_e8m0fnu:
      return tensor.to(at::kFloat);
    case at::kComplexHalf:
      return tensor.to(at::kComplexFloat);
    default:
      return tensor;
  }
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const std::int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

at::Tensor sample(const at::Tensor& flat, std::uint32_t samples) {
  const auto indices = golden::sample_indices(static_cast<std::uint64_t>(flat.numel()), samples);
  at::Tensor index = at::empty({static_cast<std::int64_t>(indices.size())}, at::kLong);
  for (std::size_t i = 0; i < indices.size(); ++i)
    index.data_ptr<std::int64_t>()[i] = static_cast<std::int64_t>(indices[i]);
  return flat.index_select(0, index);
}

// "00012", as goldens number their records.
std::string numbered(std::uint32_t number) {
  const std::string digits = std::to_string(number);
  return std::string(golden::kSequenceDigits - std::min(golden::kSequenceDigits, digits.size()), '0') +
         digits;
}

at::Tensor as_tensor(const c10::IValue& value) {
  if (value.isTensor()) return value.toTensor();
  if (value.isBool()) return at::scalar_tensor(value.toBool(), at::kBool);
  if (value.isInt()) return at::scalar_tensor(value.toInt(), at::kLong);
  return at::scalar_tensor(value.toScalar(), at::kDouble);
}

}  // namespace

Recording::Recording(const std::string& path, std::uint32_t samples)
    : sink_(path, 0, {.replace = true}), writer_(sink_), samples_(samples) {
  root("layout", golden::kLayoutVersion);
  root("kind", std::string(golden::kKind));
  root("writer", "torchferry-replay " + std::string(version()));
  root("samples", std::int64_t{samples});
}

void Recording::weight(const std::string& name, const at::Tensor& tensor) {
  const std::string path = "weights/" + numbered(weight_++);
  const FlatTensor whole = flat_copy(tensor);
  writer_.attribute(path, "name", name);
  writer_.attribute(path, "dtype", std::string(info(whole.dtype).name));
  writer_.attribute(path, "shape", shape_text(whole.shape));
  put_facts(path, whole, true);
}

void Recording::begin_case(std::size_t index, const std::string& name, bool edge) {
  case_ = "case/" + std::to_string(index);
  writer_.attribute(case_, "name", name);
  writer_.attribute(case_, "edge", std::int64_t{edge});
}

void Recording::input(const std::string& path, const at::Tensor& tensor) {
  put(case_ + "/in/" + path, tensor, false, false);
}

void Recording::begin_run(const std::string& name) {
  run_ = case_ + "/" + name;
  module_ = operation_ = 0;
}

void Recording::output(const RecordedValue& output) {
  put(run_ + "/out/" + output.path, as_tensor(output.value), false, true);
}

std::string Recording::next(const char* folder, std::uint32_t& sequence) const {
  return run_ + "/" + folder + "/" + numbered(sequence++);
}

void Recording::module(const std::string& module, const std::string& class_name, std::uint32_t call,
                       const std::string& output, const at::Tensor& tensor) {
  const std::string path = next("mod", module_);
  put(path, tensor, true, true);
  writer_.attribute(path, "module", module);
  writer_.attribute(path, "cls", class_name);
  writer_.attribute(path, "call", std::int64_t{call});
  writer_.attribute(path, "output", output);
}

void Recording::operation(const std::string& op, const std::string& module, std::uint32_t call,
                          const std::string& source, const std::string& output, const at::Tensor& tensor) {
  const std::string path = next("op", operation_);
  put(path, tensor, true, false);
  writer_.attribute(path, "op", op);
  writer_.attribute(path, "module", module);
  writer_.attribute(path, "call", std::int64_t{call});
  writer_.attribute(path, "source", source);
  writer_.attribute(path, "output", output);
}

void Recording::put(const std::string& path, const at::Tensor& tensor, bool sampled, bool hashed) {
  const FlatTensor whole = flat_copy(tensor);
  at::Tensor kept = storable(whole.kept);
  const bool cut = sampled && samples_ > 0 && kept.numel() > static_cast<std::int64_t>(samples_);
  if (sampled) kept = kept.reshape({-1});
  if (cut) kept = sample(kept, samples_);
  const FlatTensor flat = flat_copy(kept);
  writer_.put(path, flat.dtype, flat.shape, flat.bytes);
  writer_.attribute(path, "dtype", std::string(info(whole.dtype).name));
  if (sampled) {
    writer_.attribute(path, "shape", shape_text(whole.shape));
    writer_.attribute(path, "sampled", cut ? std::int64_t{samples_} : std::int64_t{0});
  }
  put_facts(path, whole, hashed);
}

void Recording::put_facts(const std::string& path, const FlatTensor& whole, bool hashed) {
  if (hashed) {
    hash::Sha256Stream hash;
    hash.update(whole.bytes);
    writer_.attribute(path, "sha256", hash.hex());
  }
  const Facts facts = facts_of(whole.kept);
  writer_.attribute(path, "l2", facts.l2);
  writer_.attribute(path, "max", facts.max);
  writer_.attribute(path, "mean", facts.mean);
  writer_.attribute(path, "nonfinite", facts.nonfinite);
}

void Recording::end_run(std::uint32_t repeats, double repeat_maxabs, double seconds,
                        const std::string& error) {
  writer_.attribute(run_, "repeats", std::int64_t{repeats});
  writer_.attribute(run_, "repeat_maxabs", repeat_maxabs);
  writer_.attribute(run_, "seconds", seconds);
  writer_.attribute(run_, "error", error);
}

void Recording::commit() {
  writer_.finish();
  sink_.commit();
}

}  // namespace ferry::replay
