#include <algorithm>

#include "src/core/text.h"
#include "validators/forward/measured.h"

namespace ferry::forward {
namespace {

const GoldenOutput* find(const std::vector<GoldenOutput>& inputs, std::string_view path) {
  const auto at =
      std::find_if(inputs.begin(), inputs.end(), [&](const GoldenOutput& one) { return one.path == path; });
  return at == inputs.end() ? nullptr : &*at;
}

std::string input_mismatch(const ForwardEvidence& evidence, const GoldenCase& before,
                           const GoldenCase& after) {
  if (after.inputs.empty()) return "";  // a replay that did not copy them was given those of the old side
  if (before.inputs.size() != after.inputs.size())
    return std::to_string(before.inputs.size()) + " inputs became " + std::to_string(after.inputs.size());
  for (const GoldenOutput& input : before.inputs) {
    const GoldenOutput* const partner = find(after.inputs, input.path);
    if (partner == nullptr) return "input " + quote(input.path) + " is missing";
    if (input.tensor.shape != partner->tensor.shape || input.tensor.dtype != partner->tensor.dtype)
      return "input " + quote(input.path) + " has another shape or type";
    const auto numbers = evidence.before_numbers.read(input.tensor, 0);
    const auto other = evidence.after_numbers.read(partner->tensor, 0);
    if (const std::uint64_t count = differing(numbers, other); count > 0)
      return "input " + quote(input.path) + " differs in " + grouped(count) + " of " +
             grouped(numbers.size()) + " elements";
  }
  return "";
}

}  // namespace

Pairing pair_cases(const ForwardEvidence& evidence) {
  Pairing pairing;
  const auto &before = evidence.before.cases, &after = evidence.after.cases;
  std::vector<bool> taken(after.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    std::size_t partner = 0;
    while (partner < after.size() && (taken[partner] || after[partner].name != before[i].name)) ++partner;
    if (partner == after.size()) {
      pairing.only_before.push_back(before[i].name);
      continue;
    }
    taken[partner] = true;
    pairing.cases.push_back(
        {i, partner, before[i].name, before[i].edge, input_mismatch(evidence, before[i], after[partner])});
  }
  for (std::size_t i = 0; i < after.size(); ++i)
    if (!taken[i]) pairing.only_after.push_back(after[i].name);
  return pairing;
}

}  // namespace ferry::forward
