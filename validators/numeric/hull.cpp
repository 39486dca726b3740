#include "validators/numeric/hull.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

namespace ferry::numeric {
namespace {

constexpr std::size_t kBatchMin = 64, kSmallHull = 1024;
constexpr double kSlack = 1 + 0x1p-51;

// The height at `before` of the line through two points, the first of which lies further left.
long double height(const HullPoint& left, const HullPoint& right, double before) {
  const long double run = static_cast<long double>(right.before) - left.before;
  const long double part = (static_cast<long double>(before) - left.before) / run;
  return left.difference + part * (static_cast<long double>(right.difference) - left.difference);
}

}  // namespace

// A floor that nothing lies above keeps kernels from looking at single points.
HullCollector::HullCollector(Drift& drift) : drift_(drift), stale_(drift.with_hull) {
  if (drift.with_hull) return;
  floor_.top = std::numeric_limits<double>::infinity();
  floor_.start.fill(floor_.top);
}

bool HullCollector::is_above(const HullPoint& point) const {
  const auto& hull = drift_.hull;
  if (point.difference == 0 || !drift_.with_hull) return false;
  if (hull.empty() || point.difference > hull.back().difference) return true;
  const auto right = std::lower_bound(hull.begin(), hull.end(), point.before,
                                      [](const HullPoint& corner, double x) { return corner.before < x; });
  if (right == hull.end()) return false;
  if (right->before == point.before) return point.difference > right->difference;
  const HullPoint left = right == hull.begin() ? HullPoint{} : *(right - 1);
  if (std::isinf(right->difference)) return point.difference > left.difference;  // no line leads there
  return point.difference > height(left, *right, point.before) * kSlack;
}

void HullCollector::offer(double before, double difference) {
  const HullPoint point{before, difference};
  if (!is_above(point)) return;
  candidates_.push_back(point);
  if (candidates_.size() >= std::max(kBatchMin, drift_.hull.size())) fold();
}

void HullCollector::end_run() {
  if (drift_.hull.size() <= kSmallHull) fold();
}

void HullCollector::fold() {
  if (candidates_.empty()) return;
  drift_.add_to_hull(candidates_);
  candidates_.clear();
  stale_ = true;
}

// Chords of the hull lie below it.  The first one goes from its beginning to its end; then the corner that is
// highest above its chord splits it, twice.
void HullCollector::find_floor() {
  auto hull = std::span<const HullPoint>(drift_.hull);
  if (!hull.empty() && std::isinf(hull.back().difference)) hull = hull.first(hull.size() - 1);
  stale_ = false;
  floor_ = {};
  if (hull.empty()) return;
  floor_.top = hull.back().difference;
  const auto corner = [&](std::size_t i) { return i == 0 ? HullPoint{} : hull[i - 1]; };
  // A corner at 0 is where the hull begins: the way up to it has no slope.
  std::array<std::size_t, HullFloor::kChords + 1> ends{};
  ends.fill(hull.size());
  ends[0] = hull.front().before == 0 ? 1 : 0;
  for (std::size_t chord = 1; chord < HullFloor::kChords; ++chord) {
    std::size_t best = hull.size();
    long double gain_max = 0;
    for (std::size_t piece = 0; piece < chord; ++piece)
      for (std::size_t i = ends[piece] + 1; i < ends[piece + 1]; ++i) {
        const HullPoint point = corner(i);
        const long double gain =
            point.difference - height(corner(ends[piece]), corner(ends[piece + 1]), point.before);
        if (gain > gain_max) {
          gain_max = gain;
          best = i;
        }
      }
    ends[chord] = best;
    std::sort(ends.begin(), ends.end());
  }
  for (std::size_t chord = 0; chord < HullFloor::kChords; ++chord) {
    const HullPoint left = corner(ends[chord]), right = corner(ends[chord + 1]);
    if (left.before == right.before) {  // of a hull of few corners
      floor_.start[chord] = floor_.top;
      floor_.rise[chord] = 0;
      continue;
    }
    const long double run = static_cast<long double>(right.before) - left.before;
    const long double rise = (static_cast<long double>(right.difference) - left.difference) / run;
    floor_.rise[chord] = static_cast<double>(rise * kSlack);
    floor_.start[chord] = static_cast<double>((left.difference - rise * left.before) * kSlack);
  }
}

}  // namespace ferry::numeric
