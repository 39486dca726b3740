#include "validators/structure/window.h"

#include <algorithm>
#include <limits>

#include "src/core/checked.h"

namespace ferry::structure {

Window window_of(const Checkpoint& checkpoint, const Tensor& tensor) {
  constexpr std::uint64_t kEndless = std::numeric_limits<std::uint64_t>::max();
  Window window;
  window.begin = static_cast<std::uint64_t>(tensor.offset);
  const auto shape = checkpoint.shape(tensor), strides = checkpoint.strides(tensor);
  std::vector<Axis> axes;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const auto size = static_cast<std::uint64_t>(shape[i]);
    if (size == 1) continue;
    if (strides[i] != 0)
      axes.push_back({static_cast<std::uint64_t>(strides[i]), size});
    else
      window.times = checked_mul(window.times, size).value_or(kEndless);
  }
  std::sort(axes.begin(), axes.end(), [](const Axis& a, const Axis& b) { return a.stride < b.stride; });
  if (axes.empty() || axes[0].stride != 1) axes.insert(axes.begin(), {1, 1});
  for (const Axis& axis : axes) {  // from the narrowest
    window.overlaps = window.overlaps || axis.stride < window.reach;
    window.reach += (axis.size - 1) * axis.stride;  // inside the storage, so it does not wrap
    window.visits = checked_mul(window.visits, axis.size).value_or(kEndless);
    if (!window.axes.empty() && axis.stride == window.axes.back().stride * window.axes.back().size)
      window.axes.back().size *= axis.size;
    else
      window.axes.push_back(axis);
  }
  std::reverse(window.axes.begin(), window.axes.end());
  return window;
}

void each_run(const Window& window,
              const std::function<void(std::uint64_t element, std::uint64_t count)>& take) {
  std::vector<std::uint64_t> position(window.axes.size() - 1);
  for (std::uint64_t element = window.begin;;) {
    take(element, window.axes.back().size);
    std::size_t axis = position.size();
    for (; axis > 0; --axis) {  // an odometer: the narrowest axis turns first
      const Axis& one = window.axes[axis - 1];
      element += one.stride;
      if (++position[axis - 1] < one.size) break;
      element -= one.stride * one.size;
      position[axis - 1] = 0;
    }
    if (axis == 0) return;
  }
}

}  // namespace ferry::structure
