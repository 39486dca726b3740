// Which of many points can become corners of a drift's hull: nearly none, and that is to be seen quickly.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "src/core/drift.h"

namespace ferry::numeric {

// Lines that the hull nowhere lies below: what is not above all of them is no corner.  Unused lines repeat
// another.
struct HullFloor {
  static constexpr std::size_t kChords = 3;
  std::array<double, kChords> start{}, rise{};
  double top = 0;  // the largest difference so far
};

// Collects candidates and makes them corners in batches, so that also a hull of very many corners costs
// little more than sorting them.  Points up to 2^−51 of their height above the hull count as on it: points
// that would lie on one line but for rounding would all be corners.
class HullCollector {
 public:
  explicit HullCollector(Drift& drift);

  const HullFloor& floor() {
    if (stale_) find_floor();
    return floor_;
  }
  // `difference` is not negative.  Either may be infinite where doubles end: of infinite differences the one
  // at the smallest `before` is the hull's last point, whatever the slope.
  void offer(double before, double difference);
  // After points that lay above the floor: raises it, unless the hull is so large that this has to wait for
  // more.
  void end_run();
  // Must be called before the drift is used.
  void fold();

 private:
  bool is_above(const HullPoint& point) const;
  void find_floor();

  Drift& drift_;
  HullFloor floor_;
  bool stale_ = true;  // the floor is found when it is asked for: after the last run nobody does
  std::vector<HullPoint> candidates_;
};

}  // namespace ferry::numeric
