#include "tests/support/forward_sides.h"

namespace ferry::test {

GoldenCase& ForwardSideDraft::input(const std::string& name, bool edge) {
  golden.cases.push_back({name, edge, {}, {}});
  return golden.cases.back();
}

GoldenRun& ForwardSideDraft::run(const std::string& name) {
  for (GoldenRun& one : golden.cases.back().runs)
    if (one.name == name) return one;
  golden.cases.back().runs.emplace_back().name = name;
  return golden.cases.back().runs.back();
}

void ForwardSideDraft::output(const std::string& run_name, const std::string& path, Numbers numbers,
                              std::vector<std::int64_t> shape, const std::string& dtype) {
  const bool doubled = run_name == "f64" && dtype == "float32";
  run(run_name).outputs.push_back(
      {path, add(std::move(numbers), std::move(shape), doubled ? "float64" : dtype)});
}

void ForwardSideDraft::module(const std::string& run_name, const std::string& module, const std::string& cls,
                              Numbers numbers, std::uint32_t call, const std::string& output,
                              const std::string& dtype) {
  std::vector<ModuleRecord>& records = run(run_name).modules;
  const auto seq = static_cast<std::uint32_t>(records.size());
  records.push_back({seq, module, cls, call, output, add(std::move(numbers), {}, dtype)});
}

void ForwardSideDraft::op(const std::string& run_name, const std::string& op, const std::string& module,
                          Numbers numbers) {
  std::vector<OpRecord>& records = run(run_name).ops;
  const auto seq = static_cast<std::uint32_t>(records.size());
  records.push_back({seq, op, module, 0, "model.py:1", "0", add(std::move(numbers), {}, "float32")});
}

void ForwardSideDraft::weight(const std::string& name, const std::string& sha256) {
  GoldenWeight weight;
  weight.name = name;
  weight.sha256 = sha256;
  golden.weights.push_back(std::move(weight));
}

std::vector<double> ForwardSideDraft::read(const GoldenTensor& tensor, std::uint64_t) const {
  return arrays_.at(tensor.tensor);
}

void ForwardSideDraft::scale(double factor) {
  for (Numbers& numbers : arrays_)
    for (double& number : numbers) number *= factor;
}

GoldenTensor ForwardSideDraft::add(Numbers numbers, std::vector<std::int64_t> shape,
                                   const std::string& dtype) {
  GoldenTensor tensor;
  tensor.tensor = static_cast<std::uint32_t>(arrays_.size());
  tensor.dtype = dtype;
  tensor.shape =
      shape.empty() ? std::vector<std::int64_t>{static_cast<std::int64_t>(numbers.size())} : std::move(shape);
  arrays_.push_back(std::move(numbers));
  return tensor;
}

ForwardVerdict judged(const ForwardSideDraft& before, const ForwardSideDraft& after,
                      const ForwardBounds& bounds, std::span<const KnownChange> changes) {
  return forward::judge_forward({before.golden, before, after.golden, after, changes}, bounds);
}

}  // namespace ferry::test
