// Jobs of different weight side by side, under one budget.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

namespace ferry::parallel {

// Calls work(i) for every weight, started in order, such that the weights of those that run never exceed
// `capacity`; a heavier job runs alone.  A job waits for its room and is never overtaken, so that big ones do
// not starve.  `work` must not throw.
void run_weighted(std::span<const std::size_t> weights, std::size_t capacity,
                  const std::function<void(std::size_t)>& work);

}  // namespace ferry::parallel
