// Where the numbers of a golden come from.  Whoever knows the files implements it; nothing here reads one.
#pragma once

#include <cstdint>
#include <vector>

#include "src/core/golden.h"

namespace ferry::forward {

class NumberSource {
 public:
  virtual ~NumberSource() = default;
  // The elements of a recorded array as doubles, in row-major order; of complex ones the real and the
  // imaginary part in turn.  With `samples`, of a tensor that is whole and has more elements: those that a
  // golden with so many samples keeps.
  virtual std::vector<double> read(const GoldenTensor& tensor, std::uint64_t samples) const = 0;
};

}  // namespace ferry::forward
