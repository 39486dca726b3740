// Which elements of a large tensor a golden keeps.
#pragma once

#include <cstdint>
#include <vector>

namespace ferry::golden {

// Row-major indices of the `samples` elements that are kept of `numel`, growing; all of them when there are
// no more.  A formula (FORMAT.md, "Samples") and no table, so that every writer in any language keeps the
// same ones.
std::vector<std::uint64_t> sample_indices(std::uint64_t numel, std::uint64_t samples);

}  // namespace ferry::golden
