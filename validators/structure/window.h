// A tensor's view of its storage as runs of neighbours.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "src/core/checkpoint.h"

namespace ferry::structure {

struct Axis {
  std::uint64_t stride, size;  // in elements
};

struct Window {
  std::vector<Axis> axes;    // from the widest stride to the narrowest, which is 1: without those that repeat
                             // elements (stride 0) or have one, joined where one continues the other
  std::uint64_t begin = 0;   // element of the storage
  std::uint64_t reach = 1;   // elements from the first to the last
  std::uint64_t visits = 1;  // elements that the axes reach
  std::uint64_t times = 1;   // how often each of them appears
  bool overlaps = false;     // an element can be reached by two ways
};

// Of a tensor that has elements; its reader has checked that it lies inside its storage.
Window window_of(const Checkpoint& checkpoint, const Tensor& tensor);

// Calls with the first element and the length of every run, in growing order unless the window overlaps.
void each_run(const Window& window,
              const std::function<void(std::uint64_t element, std::uint64_t count)>& take);

}  // namespace ferry::structure
