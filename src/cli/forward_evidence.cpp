#include "src/cli/forward_evidence.h"

#include <algorithm>

#include "formats/golden/reader.h"
#include "formats/golden/sample.h"
#include "src/cli/opened.h"
#include "src/config/known_changes.h"
#include "src/core/error.h"
#include "validators/forward/judge.h"
#include "validators/forward/numbers.h"
#include "validators/numeric/rounding.h"
#include "validators/numeric/tensor_reader.h"

namespace ferry::cli {
namespace {

constexpr std::uint64_t kElementsAtATime = 1 << 18;

class GoldenNumbers final : public forward::NumberSource {
 public:
  explicit GoldenNumbers(const Golden& golden) : golden_(golden), views_(golden.data) {}

  std::vector<double> read(const GoldenTensor& tensor, std::uint64_t samples) const override {
    try {
      std::vector<double> all = read_all(tensor);
      const std::uint64_t numel = views_.view(tensor.tensor).numel();
      return tensor.sampled == 0 && samples > 0 && numel > samples ? kept(all, numel, samples) : all;
    } catch (Error& error) {
      error.of(golden_.data.source->name());
      throw;
    }
  }

 private:
  std::vector<double> read_all(const GoldenTensor& tensor) const {
    const numeric::TensorView view = views_.view(tensor.tensor);
    const std::uint64_t numel = view.numel();
    std::vector<double> all, part;
    std::vector<std::byte> bytes;
    for (std::uint64_t first = 0; first < numel; first += kElementsAtATime) {
      const std::uint64_t count = std::min(kElementsAtATime, numel - first);
      bytes.resize(count * info(view.dtype).itemsize);
      numeric::read_elements(view, first, count, bytes);
      part.clear();
      numeric::decode_components(view.dtype, bytes, part);
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }

  // The elements that a golden with so many samples would have kept, with all components of each.
  static std::vector<double> kept(const std::vector<double>& all, std::uint64_t numel,
                                  std::uint64_t samples) {
    const std::size_t components = all.size() / numel;
    std::vector<double> some;
    for (const std::uint64_t index : golden::sample_indices(numel, samples))
      for (std::size_t i = 0; i < components; ++i) some.push_back(all[index * components + i]);
    return some;
  }

  const Golden& golden_;
  TensorViews views_;
};

}  // namespace

Golden open_golden_file(const std::string& path) { return golden::open_golden(open_file(path), Limits{}); }

ForwardVerdict compare_goldens(const Golden& before, const Golden& after, const ForwardBounds& bounds) {
  const GoldenNumbers before_numbers(before), after_numbers(after);
  ForwardVerdict verdict =
      forward::judge_forward({before, before_numbers, after, after_numbers, config::known_changes()}, bounds);
  verdict.before.path = before.data.source->name();
  verdict.after.path = after.data.source->name();
  return verdict;
}

}  // namespace ferry::cli
