// Views on large storages: torch.save writes the whole storage, also where a checkpoint holds four numbers of
// it.
//
// What the tensors of a storage refer to is the union of their extents, from the first to the last element of
// each. Only bytes outside of it go; strides and sharing stay.  A storage that is a value by itself is left
// whole.
#include <string>

#include "src/convert/intervals.h"
#include "src/convert/rules/apply.h"
#include "src/convert/wording.h"
#include "src/core/checked.h"
#include "src/core/paths.h"
#include "src/core/text.h"

namespace ferry::convert {
namespace {

std::uint64_t item_size(const Tensor& tensor) { return info(tensor.dtype).itemsize; }

// The bytes from the first to the last element of a view.
ByteRange extent(const Checkpoint& checkpoint, const Tensor& tensor) {
  const auto begin = static_cast<std::uint64_t>(tensor.offset);
  const std::uint64_t size = item_size(tensor);
  if (numel(checkpoint, tensor) == 0) return {begin * size, 0};
  const auto end = checked_extent(checkpoint.shape(tensor), checkpoint.strides(tensor), tensor.offset);
  const auto last = static_cast<std::uint64_t>(end.value_or(tensor.offset));  // readers have checked it
  return {begin * size, (last - begin) * size};
}

class Compactor {
 public:
  explicit Compactor(Checkpoint& checkpoint) : checkpoint_(checkpoint), uses_(checkpoint.storages.size()) {}

  void run(ChangeLog& log) {
    find_uses();
    find_loose_views();
    std::uint64_t saved = 0;
    std::size_t count = 0;
    for (std::uint32_t storage = 0; storage < uses_.size(); ++storage) {
      if (uses_[storage].views.empty()) continue;
      const std::uint64_t bytes = compact(storage);
      saved += bytes;
      count += bytes != 0 ? 1 : 0;
    }
    if (count != 0)
      log.add(Code::storage_compacted, "",
              iec_size(saved) + " that no tensor refers to left out of " + counted(count, "storage"));
  }

 private:
  struct Use {
    bool whole = false;                // one view covers it, or it is a value by itself
    std::vector<std::uint32_t> views;  // of storages that are not whole
  };

  void find_uses() {
    const ValueGraph& graph = checkpoint_.values;
    std::vector<bool> met(checkpoint_.tensors.size());
    const auto look_at = [&](NodeId id) {
      if (graph.kind(id) == Kind::storage) uses_[graph.index(id)].whole = true;
      if (graph.kind(id) != Kind::tensor || met[graph.index(id)]) return;
      met[graph.index(id)] = true;
      add_view(graph.index(id));
    };
    look_at(graph.root());
    const Paths paths(graph, Reach::containers);
    for (const Paths::Visit& visit : paths.visits())
      for (const NodeId item : graph.items(visit.node)) look_at(item);
  }

  void add_view(std::uint32_t index) {
    const Tensor& tensor = checkpoint_.tensors[index];
    if (tensor.storage == kNoStorage) return;
    Use& use = uses_[tensor.storage];
    const Storage& storage = checkpoint_.storages[tensor.storage];
    if (!storage.parts.empty()) use.whole = true;  // compacted before
    if (use.whole) return;
    const ByteRange bytes = extent(checkpoint_, tensor);
    if (bytes.offset == 0 && bytes.size == storage.bytes.size)
      use.whole = true;
    else
      views_.push_back(index);
  }

  // Most storages are covered by one view; only what is left is worth sorting.
  void find_loose_views() {
    for (const std::uint32_t index : views_) {
      Use& use = uses_[checkpoint_.tensors[index].storage];
      if (!use.whole) use.views.push_back(index);
    }
  }

  std::uint64_t compact(std::uint32_t index) {
    Storage& storage = checkpoint_.storages[index];
    const std::vector<std::uint32_t>& views = uses_[index].views;
    // What is kept begins at multiples of the largest element, so that every view still starts at a whole
    // one.
    std::uint64_t unit = storage.untyped ? 1 : info(storage.dtype).itemsize;
    std::vector<ByteRange> extents;
    for (const std::uint32_t view : views) {
      unit = std::max(unit, item_size(checkpoint_.tensors[view]));
      extents.push_back(extent(checkpoint_, checkpoint_.tensors[view]));
    }
    const Kept kept(merge_intervals(std::move(extents), unit, storage.bytes.size));
    if (kept.size() == storage.bytes.size) return 0;
    for (const std::uint32_t view : views) {
      Tensor& tensor = checkpoint_.tensors[view];
      const bool empty = numel(checkpoint_, tensor) == 0;  // looks at no byte, so it may start anywhere
      const std::uint64_t begin = static_cast<std::uint64_t>(tensor.offset) * item_size(tensor);
      tensor.offset = empty ? 0 : static_cast<std::int64_t>(kept.moved(begin) / item_size(tensor));
    }
    storage.parts = kept.ranges();
    if (storage.parts.empty()) storage.parts.push_back({0, 0});  // an empty list would mean all of it
    return storage.bytes.size - kept.size();
  }

  Checkpoint& checkpoint_;
  std::vector<Use> uses_;
  std::vector<std::uint32_t> views_;
};

}  // namespace

void compact_storages(Checkpoint& checkpoint, const RuleOptions&, ChangeLog& log) {
  Compactor(checkpoint).run(log);
}

}  // namespace ferry::convert
