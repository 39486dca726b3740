#include "src/core/drift.h"

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <limits>

#include "src/core/checked.h"

namespace ferry {
namespace {

// Integers of 64 bits and squares of doubles have to fit.
static_assert(LDBL_MANT_DIG >= 64 && LDBL_MAX_EXP > 2 * DBL_MAX_EXP);

// True when `corner` is not above the line from `from` to `to`.  No line leads to an infinite difference:
// such a point is the last, and those left of it stay corners of what is finite.
bool is_below(const HullPoint& from, const HullPoint& corner, const HullPoint& to) {
  if (std::isinf(to.difference)) return false;
  const auto run = [&](const HullPoint& p) { return static_cast<long double>(p.before) - from.before; };
  const auto rise = [&](const HullPoint& p) {
    return static_cast<long double>(p.difference) - from.difference;
  };
  return run(corner) * rise(to) >= rise(corner) * run(to);
}

bool by_before(const HullPoint& a, const HullPoint& b) {
  return a.before != b.before ? a.before < b.before : a.difference > b.difference;
}

// Adds the points that can be corners of a hull of these points alone: the highest one, where it ends, and of
// those left of it what lies above the line up to it.  Sorting is what a hull costs; this leaves little to
// sort.
void add_possible_corners(std::span<const HullPoint> points, std::vector<HullPoint>& corners) {
  if (points.empty()) return;
  HullPoint top = points[0];
  for (const HullPoint& point : points)
    if (point.difference > top.difference ||
        (point.difference == top.difference && point.before < top.before))
      top = point;
  for (const HullPoint& point : points)
    if (point.before < top.before && !is_below({}, point, top)) corners.push_back(point);
  corners.push_back(top);
}

}  // namespace

std::size_t ulp_bin(const Ulps& distance) {
  if (distance.whole == 0) return distance.fraction == 0 ? 0 : distance.fraction <= 0.5 ? 1 : 2;
  const std::uint64_t below =
      distance.whole - (distance.fraction == 0 ? 1 : 0);  // the distance rounded up, less 1
  return 2 + static_cast<std::size_t>(std::bit_width(below));
}

void UlpHistogram::cover(std::size_t first, std::size_t last) {
  if (!bins_.empty()) return;
  first_ = first;
  bins_ = std::vector<std::uint64_t>(last - first + 1);
}

std::uint64_t& UlpHistogram::counter(std::size_t bin) {
  if (bins_.empty()) first_ = bin;
  if (bin < first_) {
    bins_.insert(bins_.begin(), first_ - bin, 0);
    first_ = bin;
  }
  if (bin - first_ >= bins_.size()) bins_.resize(bin - first_ + 1);
  return bins_[bin - first_];
}

void UlpHistogram::multiply(std::uint64_t times) {
  for (std::uint64_t& count : bins_) count = checked_mul(count, times).value_or(~std::uint64_t{0});
}

double Drift::mean_difference() const {
  return finite == 0 ? 0 : static_cast<double>(difference_sum / static_cast<long double>(finite));
}

double Drift::rms() const {
  return finite == 0 ? 0
                     : static_cast<double>(std::sqrt(difference_squares / static_cast<long double>(finite)));
}

double Drift::relative_frobenius() const {
  if (difference_squares == 0) return 0;
  return static_cast<double>(std::sqrt(difference_squares / before_squares));
}

double Drift::cosine() const {
  if (difference_squares == 0) return 1;
  if (before_squares == 0 || after_squares == 0) return std::numeric_limits<double>::quiet_NaN();
  const long double cosine = products / (std::sqrt(before_squares) * std::sqrt(after_squares));
  return static_cast<double>(std::clamp(cosine, -1.0L, 1.0L));  // the sums are rounded, each on its own
}

double Drift::snr_db() const {
  if (difference_squares == 0) return std::numeric_limits<double>::infinity();
  return static_cast<double>(10 * std::log10(before_squares / difference_squares));
}

double Drift::least_atol(double rtol) const {
  long double least = 0;
  // Beyond doubles a difference is at most the sum of two numbers, of complex ones of two moduli.
  const bool complex = info(before).name.starts_with("complex") || info(after).name.starts_with("complex");
  for (const HullPoint& point : hull) {
    // An infinite rtol allows everything but a difference from 0.
    const long double allowed = point.before == 0 ? 0 : static_cast<long double>(rtol) * point.before;
    if (!std::isinf(point.difference))
      least = std::max(least, point.difference - allowed);
    else if (!(allowed >= (complex ? 3.0L * DBL_MAX : DBL_MAX + static_cast<long double>(point.before))))
      return point.difference;
  }
  return static_cast<double>(least);
}

void Drift::add_to_hull(std::span<const HullPoint> points) {
  const auto middle = static_cast<std::ptrdiff_t>(hull.size());
  if (hull.empty())
    add_possible_corners(points, hull);
  else
    hull.insert(hull.end(), points.begin(), points.end());
  std::sort(hull.begin() + middle, hull.end(), by_before);
  std::inplace_merge(hull.begin(), hull.begin() + middle, hull.end(), by_before);
  std::size_t size = 0;  // of the corners found so far, which lie at the front
  for (std::size_t i = 0; i < hull.size(); ++i) {
    const HullPoint next = hull[i];
    if (next.difference <= (size > 0 ? hull[size - 1].difference : 0)) continue;
    while (size > 0 && is_below(size > 1 ? hull[size - 2] : HullPoint{}, hull[size - 1], next)) --size;
    hull[size++] = next;
  }
  hull.resize(size);
}

void Drift::merge(const Drift& later) {
  const bool later_is_worse =
      nonfinite_mismatches == 0 && (!worst || later.nonfinite_mismatches > 0 || later.max_abs > max_abs);
  if (later.worst && later_is_worse) worst = later.worst;
  for (const auto count :
       {&Drift::elements, &Drift::bits_differing, &Drift::bits_flipped, &Drift::differing, &Drift::zero_signs,
        &Drift::nans_before, &Drift::nans_after, &Drift::infinities_before, &Drift::infinities_after,
        &Drift::nans_both, &Drift::nan_payloads, &Drift::nonfinite_mismatches, &Drift::finite})
    this->*count += later.*count;
  max_abs = std::max(max_abs, later.max_abs);
  max_rel = std::max(max_rel, later.max_rel);
  max_ulp = std::max(max_ulp, later.max_ulp, [](const Ulps& a, const Ulps& b) { return (a <=> b) < 0; });
  for (const auto sum : {&Drift::difference_squares, &Drift::before_squares, &Drift::after_squares,
                         &Drift::products, &Drift::difference_sum})
    this->*sum += later.*sum;
  for (std::size_t bin = 0; bin < kUlpBins; ++bin) ulps.add(bin, later.ulps[bin]);
  if (!later.hull.empty()) add_to_hull(later.hull);
}

std::string_view cause_name(Cause cause) {
  switch (cause) {
    case Cause::one_bit:
      return "one_bit";
    case Cause::one_element:
      return "one_element";
    case Cause::float16_rounding:
      return "float16_rounding";
    case Cause::bfloat16_rounding:
      return "bfloat16_rounding";
    case Cause::tf32_rounding:
      return "tf32_rounding";
    case Cause::tf32_truncation:
      return "tf32_truncation";
    case Cause::float8_rounding:
      return "float8_rounding";
    case Cause::float32_rounding:
      return "float32_rounding";
    case Cause::scaled:
      return "scaled";
    case Cause::negated:
      return "negated";
    case Cause::shifted:
      return "shifted";
    case Cause::transposed:
      return "transposed";
    case Cause::permuted:
      return "permuted";
    case Cause::reversed:
      return "reversed";
    case Cause::rearranged:
      return "rearranged";
    case Cause::zeros:
      return "zeros";
    case Cause::constant:
      return "constant";
    case Cause::stats_reset:
      return "stats_reset";
    case Cause::counter:
      return "counter";
    case Cause::nonfinite:
      return "nonfinite";
    case Cause::swapped:
      return "swapped";
    case Cause::copied:
      return "copied";
  }
  return "";
}

}  // namespace ferry
