#include "validators/forward/measure.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace ferry::forward {
namespace {

class SizeSum {
 public:
  void add(double number) {
    if (!std::isfinite(number)) return;
    squares_ += static_cast<long double>(number) * number;
    largest_ = std::max(largest_, std::fabs(number));
  }
  Size size() const { return {static_cast<double>(std::sqrt(squares_)), largest_}; }

 private:
  long double squares_ = 0;
  double largest_ = 0;
};

bool same_nonfinite(double before, double after) {
  return (std::isnan(before) && std::isnan(after)) || before == after;
}

// Largest elements of one row first; of equals the first.  NaN decides nothing and comes last.
class RowOrder {
 public:
  RowOrder(Numbers numbers, std::size_t first, std::size_t stride)
      : numbers_(numbers), first_(first), stride_(stride) {}
  double at(std::size_t i) const {
    const double number = numbers_[first_ + i * stride_];
    return std::isnan(number) ? -std::numeric_limits<double>::infinity() : number;
  }
  bool operator()(std::size_t a, std::size_t b) const { return at(a) > at(b) || (at(a) == at(b) && a < b); }

 private:
  Numbers numbers_;
  std::size_t first_, stride_;
};

std::vector<std::size_t> leaders(const RowOrder& row, std::size_t classes, std::size_t count) {
  std::vector<std::size_t> indices(classes);
  std::iota(indices.begin(), indices.end(), std::size_t{0});
  const auto end = indices.begin() + static_cast<std::ptrdiff_t>(std::min(count, classes));
  std::partial_sort(indices.begin(), end, indices.end(), row);
  indices.erase(end, indices.end());
  return indices;
}

}  // namespace

Size size_of(Numbers numbers) {
  SizeSum sum;
  for (const double number : numbers) sum.add(number);
  return sum.size();
}

Size distance_of(Numbers before, Numbers after) {
  SizeSum sum;
  for (std::size_t i = 0; i < before.size(); ++i)
    if (std::isfinite(before[i]) && std::isfinite(after[i])) sum.add(after[i] - before[i]);
  return sum.size();
}

std::uint64_t nonfinite_mismatches(Numbers before, Numbers after) {
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < before.size(); ++i)
    if (!(std::isfinite(before[i]) && std::isfinite(after[i])) && !same_nonfinite(before[i], after[i]))
      ++count;
  return count;
}

Closeness closeness_of(Numbers before, Numbers after) {
  Closeness found;
  found.elements = before.size();
  long double squares = 0, before_squares = 0, after_squares = 0, products = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const bool finite_before = std::isfinite(before[i]), finite_after = std::isfinite(after[i]);
    found.nonfinite_before += !finite_before;
    found.nonfinite_after += !finite_after;
    if (!finite_before || !finite_after) continue;
    const long double b = before[i], a = after[i], d = a - b;
    squares += d * d;
    before_squares += b * b;
    after_squares += a * a;
    products += a * b;
    found.max_abs = std::max(found.max_abs, std::fabs(after[i] - before[i]));
  }
  found.nonfinite_mismatches = nonfinite_mismatches(before, after);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (squares > 0) {
    found.cosine = static_cast<double>(products / std::sqrt(before_squares * after_squares));
    found.relative =
        before_squares > 0 ? static_cast<double>(std::sqrt(squares / before_squares)) : kInfinity;
  }
  found.snr_db = squares > 0 ? static_cast<double>(10 * std::log10(before_squares / squares)) : kInfinity;
  return found;
}

std::uint64_t differing(Numbers before, Numbers after) {
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < before.size(); ++i) count += !same_nonfinite(before[i], after[i]);
  return count;
}

std::uint64_t outliers(Numbers run, Numbers reference, double factor, double floor) {
  std::vector<double> errors;
  errors.reserve(run.size());
  for (std::size_t i = 0; i < run.size(); ++i)
    if (std::isfinite(run[i]) && std::isfinite(reference[i]))
      errors.push_back(std::fabs(run[i] - reference[i]));
  if (errors.empty()) return 0;
  const auto middle = errors.begin() + static_cast<std::ptrdiff_t>(errors.size() / 2);
  std::nth_element(errors.begin(), middle, errors.end());
  const double limit = factor * std::max(*middle, floor);
  return static_cast<std::uint64_t>(
      std::count_if(errors.begin(), errors.end(), [&](double error) { return error > limit; }));
}

std::optional<Decisions> decisions_of(Numbers before, Numbers after, std::span<const std::int64_t> shape,
                                      std::size_t top_k, double error) {
  if (shape.size() < 2) return std::nullopt;
  Decisions found;
  found.axis = shape.size() == 4 || shape.size() == 5 ? 1 : shape.size() - 1;
  const auto classes = static_cast<std::size_t>(shape[found.axis]);
  if (classes < 2 || before.empty()) return std::nullopt;
  found.top_k = std::min(top_k, classes);
  std::size_t inner = 1;
  for (std::size_t i = found.axis + 1; i < shape.size(); ++i) inner *= static_cast<std::size_t>(shape[i]);
  found.rows = before.size() / classes;
  for (std::size_t row = 0; row < found.rows; ++row) {
    const std::size_t first = row / inner * classes * inner + row % inner;
    const RowOrder old_row(before, first, inner), new_row(after, first, inner);
    const std::size_t count = std::max<std::size_t>(found.top_k, 2);
    auto old_leaders = leaders(old_row, classes, count), new_leaders = leaders(new_row, classes, count);
    const auto is_tie = [&](const RowOrder& order, const std::vector<std::size_t>& by_size) {
      return order.at(by_size[0]) - order.at(by_size[1]) <= 2 * error;
    };
    if (old_leaders[0] == new_leaders[0])
      ++found.equal;
    else
      found.ties += is_tie(old_row, old_leaders) || is_tie(new_row, new_leaders);
    old_leaders.resize(found.top_k);
    new_leaders.resize(found.top_k);
    std::sort(old_leaders.begin(), old_leaders.end());
    std::sort(new_leaders.begin(), new_leaders.end());
    found.top_k_equal += old_leaders == new_leaders;
  }
  return found;
}

}  // namespace ferry::forward
