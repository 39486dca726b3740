// Joining rows of a pairing that have one side only: what the ways to match have in common.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "src/core/checkpoint.h"
#include "validators/structure/pairing.h"

namespace ferry::structure {

// Rows that have one side only, by side.
struct Lone {
  std::vector<std::size_t> before, after;

  bool one_sided() const { return before.empty() || after.empty(); }
};

inline Lone find_lone(const Pairing& pairing) {
  Lone lone;
  for (std::size_t i = 0; i < pairing.tensors.size(); ++i) {
    const TensorMatch& row = pairing.tensors[i];
    if (row.paired()) continue;
    (row.after.tensor == kNoTensor ? lone.before : lone.after).push_back(i);
  }
  return lone;
}

// Joins rows of either side; the rows of after that found a partner vanish when the joiner does.
class Joiner {
 public:
  explicit Joiner(Pairing& pairing) : rows_(pairing.tensors), gone_(rows_.size()) {}
  ~Joiner() {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < rows_.size(); ++i)
      if (!gone_[i]) {
        if (kept != i) rows_[kept] = std::move(rows_[i]);
        ++kept;
      }
    rows_.resize(kept);
  }
  Joiner(const Joiner&) = delete;
  Joiner& operator=(const Joiner&) = delete;

  bool free(std::size_t row) const { return !gone_[row] && !rows_[row].paired(); }
  void join(std::size_t before, std::size_t after, std::string matched_by) {
    rows_[before].after = std::move(rows_[after].after);
    rows_[before].matched_by = std::move(matched_by);
    gone_[after] = true;
  }

 private:
  std::vector<TensorMatch>& rows_;
  std::vector<bool> gone_;
};

// Sizes up to the order of axes.
inline std::vector<std::int64_t> sorted_shape(const Checkpoint& checkpoint, std::uint32_t tensor) {
  const auto shape = checkpoint.shape(checkpoint.tensors[tensor]);
  std::vector<std::int64_t> sizes(shape.begin(), shape.end());
  std::sort(sizes.begin(), sizes.end());
  return sizes;
}

// Joins rows whose paths differ by parts that were renamed throughout, where nothing speaks against it: see
// match_by_name.
void join_by_sure_moves(Pairing& pairing, const Checkpoint& before, const Checkpoint& after,
                        const ContentKey& key);

}  // namespace ferry::structure
