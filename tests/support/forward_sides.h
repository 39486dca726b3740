// Goldens in memory, for tests of verdicts: arrays of doubles under the names of a golden, and no file.
#pragma once

#include <string>
#include <vector>

#include "src/core/golden.h"
#include "validators/forward/judge.h"
#include "validators/forward/numbers.h"

namespace ferry::test {

class ForwardSideDraft final : public forward::NumberSource {
 public:
  using Numbers = std::vector<double>;

  Golden golden;

  ForwardSideDraft() { golden.f64 = "ok"; }

  GoldenCase& input(const std::string& name, bool edge = false);
  // Runs of the last case.
  GoldenRun& run(const std::string& name);
  void output(const std::string& run, const std::string& path, Numbers numbers,
              std::vector<std::int64_t> shape = {}, const std::string& dtype = "float32");
  void module(const std::string& run, const std::string& module, const std::string& cls, Numbers numbers,
              std::uint32_t call = 0, const std::string& output = "0", const std::string& dtype = "float32");
  void op(const std::string& run, const std::string& op, const std::string& module, Numbers numbers);
  void weight(const std::string& name, const std::string& sha256);
  void environment(const std::string& name, const std::string& value) {
    golden.env.emplace_back(name, value);
  }

  std::vector<double> read(const GoldenTensor& tensor, std::uint64_t samples) const override;
  // All numbers times a power of two.
  void scale(double factor);

 private:
  GoldenTensor add(Numbers numbers, std::vector<std::int64_t> shape, const std::string& dtype);
  std::vector<Numbers> arrays_;
};

ForwardVerdict judged(const ForwardSideDraft& before, const ForwardSideDraft& after,
                      const ForwardBounds& bounds = {}, std::span<const KnownChange> changes = {});

}  // namespace ferry::test
