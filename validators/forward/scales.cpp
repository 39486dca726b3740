#include "validators/forward/scales.h"

#include <algorithm>

namespace ferry::forward {
namespace {

double ratio(double error, double size) { return size > 0 ? error / size : 0; }

double median(std::vector<double>& values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

double relative_error(const Measured& record) {
  return ratio(std::max(record.before_error.l2, record.after_error.l2), record.reference.l2);
}

void ErrorScale::add(const Size& error, const Size& reference) {
  largest.l2 = std::max(largest.l2, error.l2);
  largest.inf = std::max(largest.inf, error.inf);
  relative.l2 = std::max(relative.l2, ratio(error.l2, reference.l2));
  relative.inf = std::max(relative.inf, ratio(error.inf, reference.inf));
}

Size ErrorScale::at(const Measured& record, const Size& own, const Size& floor) const {
  if (!record.edge) return {std::max(largest.l2, floor.l2), std::max(largest.inf, floor.inf)};
  return {std::max({own.l2, relative.l2 * record.reference.l2, floor.l2}),
          std::max({own.inf, relative.inf * record.reference.inf, floor.inf})};
}

RecordKey Scales::key_of(const Measured& record) {
  return {record.kind,    record.run,        record.name.module, record.name.call,
          record.name.op, record.occurrence, record.name.output};
}

Scales::Scales(std::span<const Measured> records) {
  std::map<RecordKey, std::vector<const Measured*>> groups;
  for (const Measured& record : records) groups[key_of(record)].push_back(&record);
  for (auto& [key, group] : groups) {
    RecordScale& scale = scales_[key];
    const bool all_edge =
        std::all_of(group.begin(), group.end(), [](const Measured* one) { return one->edge; });
    std::vector<double> sizes, largest, errors;
    for (const Measured* const one : group) {
      if (!one->mismatch.empty()) continue;
      ++scale.inputs;
      if (one->reference.l2 > 0) {
        sizes.push_back(one->reference.l2);
        largest.push_back(one->reference.inf);
      }
      errors.push_back(relative_error(*one));
      if (one->edge && !all_edge) continue;
      scale.before.add(one->before_error, one->reference);
      scale.after.add(one->after_error, one->reference);
      scale.emulated.add(one->emulated.value_or(Size{}), one->reference);
    }
    scale.usual = {median(sizes), median(largest)};
    scale.usual_error = median(errors);
  }
}

}  // namespace ferry::forward
