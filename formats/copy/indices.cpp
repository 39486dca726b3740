#include "formats/copy/indices.h"

#include <algorithm>
#include <functional>

#include "formats/copy/storage_stream.h"
#include "src/core/checked.h"
#include "src/core/composite.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::copy {
namespace {

constexpr std::uint64_t kGatheredMost = std::uint64_t{64} << 20;  // bytes

// Takes the place of an element, counted row by row, and its value.
using TakeIndex = std::function<void(std::uint64_t, std::int64_t)>;

std::int64_t load(const std::byte* at, DType dtype) {
  if (dtype == DType::int32) return static_cast<std::int32_t>(load_le<std::uint32_t>(at));
  return static_cast<std::int64_t>(load_le<std::uint64_t>(at));
}

struct Axis {
  std::uint64_t stride, size;
  std::uint64_t step;  // how far the place of an element moves along it
};

// The axes from the widest stride to the narrowest; empty when elements overlap, so that no element of the
// storage has one place.
std::vector<Axis> axes_apart(const Checkpoint& checkpoint, const Tensor& tensor) {
  const auto shape = checkpoint.shape(tensor), strides = checkpoint.strides(tensor);
  std::vector<Axis> axes;
  std::uint64_t step = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    const auto size = static_cast<std::uint64_t>(shape[i]);
    if (size > 1) axes.push_back({static_cast<std::uint64_t>(strides[i]), size, step});
    step *= size;
  }
  std::stable_sort(axes.begin(), axes.end(),
                   [](const Axis& a, const Axis& b) { return a.stride > b.stride; });
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const std::uint64_t inside = i + 1 < axes.size() ? axes[i + 1].stride * axes[i + 1].size : 1;
    if (axes[i].stride < inside) return {};
  }
  if (axes.empty()) axes.push_back({1, 1, 1});
  return axes;
}

// Calls with every element of the storage from `begin` on, in the order of the storage.
void each_stored(const Storage& storage, DType dtype, std::uint64_t begin, std::uint64_t count,
                 const TakeIndex& take) {
  const std::size_t item = info(dtype).itemsize;
  StorageStream stream(storage);
  std::vector<std::byte> block(kReadBlock);
  const std::uint64_t total = storage.bytes.size / item;
  for (std::uint64_t at = 0; at < total;) {
    const auto elements = static_cast<std::size_t>(std::min<std::uint64_t>(kReadBlock / item, total - at));
    stream.read(std::span(block).first(elements * item));
    const std::uint64_t from = std::max(at, begin), to = std::min(at + elements, begin + count);
    for (std::uint64_t i = from; i < to; ++i) take(i - begin, load(block.data() + (i - at) * item, dtype));
    at += elements;
  }
}

std::uint64_t reach_of(std::span<const Axis> axes) {
  std::uint64_t reach = 1;
  for (const Axis& axis : axes) reach += axis.stride * (axis.size - 1);
  return reach;
}

// All elements in the order of the tensor, in memory.
std::vector<std::int64_t> gather(const Checkpoint& checkpoint, const Tensor& tensor) {
  const auto count = static_cast<std::uint64_t>(numel(checkpoint, tensor));
  const Storage& storage = checkpoint.storages[tensor.storage];
  if (count * 8 > kGatheredMost || storage.bytes.size > kGatheredMost)
    throw Error(Code::limit_exceeded, "an index tensor of " + grouped(count) +
                                          " elements is too large to be checked: it is not contiguous");
  std::vector<std::int64_t> stored, elements(static_cast<std::size_t>(count));
  each_stored(storage, tensor.dtype, 0, storage.bytes.size / info(tensor.dtype).itemsize,
              [&](std::uint64_t, std::int64_t value) { stored.push_back(value); });
  const auto shape = checkpoint.shape(tensor), strides = checkpoint.strides(tensor);
  std::vector<std::int64_t> at(shape.size());
  for (std::int64_t& element : elements) {
    std::int64_t place = tensor.offset;
    for (std::size_t d = 0; d < at.size(); ++d) place += at[d] * strides[d];
    element = stored[static_cast<std::size_t>(place)];
    for (std::size_t d = at.size(); d-- > 0 && ++at[d] == shape[d];) at[d] = 0;
  }
  return elements;
}

enum class Order : std::uint8_t { any, of_the_tensor };

void each_index(const Checkpoint& checkpoint, const Tensor& tensor, Order order, const TakeIndex& take) {
  const auto count = static_cast<std::uint64_t>(numel(checkpoint, tensor));
  if (count == 0) return;
  const Storage& storage = checkpoint.storages[tensor.storage];
  const auto begin = static_cast<std::uint64_t>(tensor.offset);
  if (is_contiguous(checkpoint, tensor)) return each_stored(storage, tensor.dtype, begin, count, take);
  const std::vector<Axis> axes = order == Order::any ? axes_apart(checkpoint, tensor) : std::vector<Axis>();
  if (axes.empty()) {
    const std::vector<std::int64_t> elements = gather(checkpoint, tensor);
    for (std::size_t i = 0; i < elements.size(); ++i) take(i, elements[i]);
    return;
  }
  each_stored(storage, tensor.dtype, begin, reach_of(axes), [&](std::uint64_t rest, std::int64_t value) {
    std::uint64_t place = 0;
    for (const Axis& axis : axes) {
      const std::uint64_t at = rest / axis.stride;
      if (at >= axis.size) return;  // between two rows
      rest -= at * axis.stride;
      place += at * axis.step;
    }
    if (rest == 0) take(place, value);
  });
}

class Checker {
 public:
  explicit Checker(const Checkpoint& checkpoint) : checkpoint_(checkpoint), graph_(checkpoint.values) {}

  void check(NodeId id) {
    id_ = id;
    const Composite form = graph_.composite(id);
    if (form == Composite::sparse_coo)
      check_coordinates();
    else if (form < Composite::nested)
      check_compressed(form);
    else if (form == Composite::nested)
      check_nested();
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(Code::bad_tensor, what).at(graph_.at(id_));
  }
  const Tensor& part(std::size_t i) const { return checkpoint_.tensors[graph_.index(graph_.items(id_)[i])]; }
  void need_inside(std::int64_t index, std::int64_t size) const {
    if (index < 0 || index >= size)
      fail("index " + std::to_string(index) + " of a sparse tensor lies outside of its size " +
           std::to_string(size));
  }

  void check_coordinates() const {
    const std::vector<std::int64_t> size = shape_of(checkpoint_, id_);
    const auto entries = static_cast<std::uint64_t>(checkpoint_.shape(part(0))[1]);
    each_index(checkpoint_, part(0), Order::any, [&](std::uint64_t place, std::int64_t index) {
      need_inside(index, size[static_cast<std::size_t>(place / entries)]);
    });
  }

  void check_compressed(Composite form) const {
    const std::vector<std::int64_t> size = shape_of(checkpoint_, id_);
    const auto compressed = checkpoint_.shape(part(0)), values = checkpoint_.shape(part(2));
    const std::size_t batches = compressed.size() - 1;
    const auto count = static_cast<std::uint64_t>(compressed[batches]);
    const std::int64_t entries = values[batches];
    std::int64_t before = 0;
    each_index(checkpoint_, part(0), Order::of_the_tensor, [&](std::uint64_t place, std::int64_t index) {
      const bool first = place % count == 0, last = place % count == count - 1;
      if ((first && index != 0) || (!first && index < before) || (last && index != entries))
        fail("the compressed indices of a sparse tensor do not rise from 0 to " + std::to_string(entries));
      before = index;
    });
    const bool by_rows = form == Composite::sparse_csr || form == Composite::sparse_bsr;
    const bool blocked = form == Composite::sparse_bsr || form == Composite::sparse_bsc;
    const std::size_t axis = by_rows ? 1 : 0;
    const std::int64_t tile = blocked ? values[batches + 1 + axis] : 1;
    each_index(checkpoint_, part(1), Order::any,
               [&](std::uint64_t, std::int64_t index) { need_inside(index, size[batches + axis] / tile); });
  }

  void check_nested() const {
    const std::vector<std::int64_t> sizes = gather(checkpoint_, part(1)),
                                    strides = gather(checkpoint_, part(2)),
                                    offsets = gather(checkpoint_, part(3));
    const std::int64_t values = numel(checkpoint_, part(0));
    const std::size_t rank = offsets.empty() ? 0 : sizes.size() / offsets.size();
    for (std::size_t i = 0; i < offsets.size(); ++i) {
      const auto end = checked_extent(std::span(sizes).subspan(i * rank, rank),
                                      std::span(strides).subspan(i * rank, rank), offsets[i]);
      if (!end || *end > values)
        fail("tensor " + std::to_string(i) + " of a nested tensor lies outside of its values");
    }
  }

  const Checkpoint& checkpoint_;
  const ValueGraph& graph_;
  NodeId id_ = kNoNode;
};

}  // namespace

void check_indices(const Checkpoint& checkpoint) {
  const ValueGraph& graph = checkpoint.values;
  bool any = false;  // of nearly all files none: no walk is needed to see that
  for (NodeId id = 0; id < graph.node_count() && !any; ++id) any = graph.kind(id) == Kind::composite;
  if (!any) return;
  Checker checker(checkpoint);
  for (const NodeId id : graph.reachable())
    if (graph.kind(id) == Kind::composite) checker.check(id);
}

}  // namespace ferry::copy
