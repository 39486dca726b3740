// What is usual for a record over all inputs: the yardsticks of the verdict.
#pragma once

#include <map>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "validators/forward/measured.h"

namespace ferry::forward {

// The identity of a record over the cases.
using RecordKey =
    std::tuple<RecordKind, std::string, std::string, std::uint32_t, std::string, std::uint32_t, std::string>;

// Errors of one kind over the ordinary inputs.
struct ErrorScale {
  Size largest;   // ‖e‖
  Size relative;  // ‖e‖ / ‖z‖

  void add(const Size& error, const Size& reference);
  // E of one input, at least `floor`.
  Size at(const Measured& record, const Size& own, const Size& floor) const;
};

struct RecordScale {
  ErrorScale before, after, emulated;
  Size usual;              // the median ‖z‖
  double usual_error = 0;  // the median of ‖e‖ / ‖z‖, the larger of both sides
  std::size_t inputs = 0;
};

class Scales {
 public:
  explicit Scales(std::span<const Measured> records);
  const RecordScale& of(const Measured& record) const { return scales_.at(key_of(record)); }

  static RecordKey key_of(const Measured& record);

 private:
  std::map<RecordKey, RecordScale> scales_;
};

// ‖e‖ / ‖z‖ of the side that has the larger one; 0 where nothing is known.
double relative_error(const Measured& record);

}  // namespace ferry::forward
