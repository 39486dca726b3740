#include "validators/structure/tying.h"

#include <algorithm>
#include <map>

#include "src/core/checked.h"

namespace ferry::structure {
namespace {

struct Extent {
  std::uint32_t storage;
  std::uint64_t begin, end;  // bytes
  std::uint32_t position;    // in the list that was given
};

std::vector<Extent> extents_of(const Checkpoint& checkpoint, const std::vector<std::uint32_t>& tensors) {
  std::vector<Extent> extents;
  extents.reserve(tensors.size());
  for (std::uint32_t i = 0; i < tensors.size(); ++i) {
    const Tensor& tensor = checkpoint.tensors[tensors[i]];
    if (tensor.storage == kNoStorage || numel(checkpoint, tensor) == 0) continue;
    const std::uint64_t size = info(tensor.dtype).itemsize;
    const auto end = checked_extent(checkpoint.shape(tensor), checkpoint.strides(tensor), tensor.offset);
    extents.push_back({tensor.storage, static_cast<std::uint64_t>(tensor.offset) * size,
                       static_cast<std::uint64_t>(end.value_or(tensor.offset)) * size, i});
  }
  const auto earlier = [](const Extent& a, const Extent& b) {
    return std::tie(a.storage, a.begin, a.position) < std::tie(b.storage, b.begin, b.position);
  };
  // Most files hold their storages in the order of their tensors.
  if (!std::is_sorted(extents.begin(), extents.end(), earlier))
    std::sort(extents.begin(), extents.end(), earlier);
  return extents;
}

// Groups of positions with more than one member, in order.
using Groups = std::map<std::uint32_t, std::vector<std::size_t>>;
Groups groups_of(const std::vector<std::uint32_t>& leaders) {
  Groups groups;
  for (std::size_t i = 0; i < leaders.size(); ++i)
    if (leaders[i] != i) {
      auto& group = groups[leaders[i]];
      if (group.empty()) group.push_back(leaders[i]);
      group.push_back(i);
    }
  return groups;
}

// Groups that `others` do not hold together.
void add_changes(const Groups& groups, const std::vector<std::uint32_t>& others,
                 const std::vector<std::size_t>& rows, bool tied_before, std::vector<TyingChange>& changes) {
  for (const auto& [leader, members] : groups) {
    TyingChange change{{}, {}, tied_before};
    std::map<std::uint32_t, std::vector<std::size_t>> parts;
    for (const std::size_t member : members) {
      change.rows.push_back(rows[member]);
      parts[others[member]].push_back(rows[member]);
    }
    if (parts.size() == 1) continue;
    for (auto& [other, part] : parts)
      if (part.size() > 1) change.together.push_back(std::move(part));
    changes.push_back(std::move(change));
  }
}

}  // namespace

std::vector<std::uint32_t> find_ties(const Checkpoint& checkpoint,
                                     const std::vector<std::uint32_t>& tensors) {
  std::vector<std::uint32_t> leaders(tensors.size());
  for (std::uint32_t i = 0; i < leaders.size(); ++i) leaders[i] = i;
  const std::vector<Extent> extents = extents_of(checkpoint, tensors);
  for (std::size_t i = 0; i < extents.size();) {
    // A run of extents of which each begins before the others end.
    std::uint64_t end = extents[i].end;
    std::uint32_t leader = extents[i].position;
    std::size_t next = i + 1;
    for (; next < extents.size() && extents[next].storage == extents[i].storage && extents[next].begin < end;
         ++next) {
      end = std::max(end, extents[next].end);
      leader = std::min(leader, extents[next].position);
    }
    for (; i < next; ++i) leaders[extents[i].position] = leader;
  }
  return leaders;
}

std::vector<TyingChange> compare_ties(const Checkpoint& before, const Checkpoint& after,
                                      const Pairing& pairing) {
  std::vector<std::size_t> rows;
  std::vector<std::uint32_t> mine, others;
  for (std::size_t i = 0; i < pairing.tensors.size(); ++i) {
    const TensorMatch& row = pairing.tensors[i];
    if (!row.paired()) continue;
    rows.push_back(i);
    mine.push_back(row.before.tensor);
    others.push_back(row.after.tensor);
  }
  const std::vector<std::uint32_t> ties_before = find_ties(before, mine),
                                   ties_after = find_ties(after, others);
  std::vector<TyingChange> changes;
  add_changes(groups_of(ties_before), ties_after, rows, true, changes);
  add_changes(groups_of(ties_after), ties_before, rows, false, changes);
  return changes;
}

}  // namespace ferry::structure
