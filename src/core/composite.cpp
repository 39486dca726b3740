#include "src/core/composite.h"

#include <algorithm>
#include <array>
#include <string>

#include "src/core/checked.h"
#include "src/core/error.h"

namespace ferry {
namespace {

using Shape = std::span<const std::int64_t>;

[[noreturn]] void fail(const std::string& what) { throw Error(Code::bad_tensor, what); }

bool equal(Shape a, Shape b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

class Parts {
 public:
  Parts(const Checkpoint& checkpoint, std::span<const NodeId> parts)
      : checkpoint_(checkpoint), graph_(checkpoint.values), parts_(parts) {}

  void check(Composite form) const {
    if (form == Composite::sparse_coo) return check_coordinates();
    if (form < Composite::nested) return check_compressed(form);
    if (form == Composite::nested) return check_nested();
    check_quantized(form);
  }

 private:
  void need(std::size_t least, std::size_t most) const {
    if (parts_.size() < least || parts_.size() > most)
      fail("a composite tensor has " + std::to_string(parts_.size()) + " parts");
  }

  const Tensor& tensor(std::size_t i, const std::string& what) const {
    if (graph_.kind(parts_[i]) != Kind::tensor) fail("the " + what + " are no tensor");
    const Tensor& tensor = checkpoint_.tensors[graph_.index(parts_[i])];
    if (tensor.storage == kNoStorage) fail("the " + what + " have no data");
    return tensor;
  }
  Shape shape(const Tensor& tensor) const { return checkpoint_.shape(tensor); }

  std::vector<std::int64_t> size(std::size_t i) const {
    auto sizes = sizes_of(graph_, parts_[i]);
    if (!sizes) fail("the size of a sparse tensor is no tuple of counts");
    if (!checked_numel(*sizes)) fail("a sparse tensor is larger than can be counted");
    return *std::move(sizes);
  }

  // indices [sparse dimensions, entries], values [entries, dense sizes …], size[, is_coalesced]
  void check_coordinates() const {
    need(3, 4);
    const Tensor &indices = tensor(0, "indices"), &values = tensor(1, "values");
    const std::vector<std::int64_t> whole = size(2);
    if (parts_.size() == 4 && graph_.kind(parts_[3]) != Kind::boolean && graph_.kind(parts_[3]) != Kind::none)
      fail("whether a sparse tensor is coalesced is neither True nor False");
    if (indices.dtype != DType::int64 || indices.rank != 2)
      fail("the indices of a sparse tensor are no matrix of int64");
    const auto sparse = static_cast<std::uint64_t>(shape(indices)[0]);
    if (sparse > whole.size() || values.rank == 0 || shape(values)[0] != shape(indices)[1] ||
        !equal(shape(values).subspan(1), Shape(whole).subspan(sparse)))
      fail("indices, values and size of a sparse tensor do not fit each other");
  }

  // [batches …, compressed + 1], [batches …, entries], [batches …, entries, block, dense sizes …], size
  void check_compressed(Composite form) const {
    need(4, 4);
    const Tensor &compressed = tensor(0, "compressed indices"), &plain = tensor(1, "indices"),
                 &values = tensor(2, "values");
    const std::vector<std::int64_t> whole = size(3);
    if ((compressed.dtype != DType::int64 && compressed.dtype != DType::int32) ||
        plain.dtype != compressed.dtype)
      fail("the indices of a compressed sparse tensor are not of one integer type");
    if (!compressed_fit(form, shape(compressed), shape(plain), shape(values), whole))
      fail("the parts of a compressed sparse tensor do not fit each other");
  }

  static bool compressed_fit(Composite form, Shape compressed, Shape plain, Shape values, Shape whole) {
    const bool blocked = form == Composite::sparse_bsr || form == Composite::sparse_bsc;
    const bool by_rows = form == Composite::sparse_csr || form == Composite::sparse_bsr;
    const std::size_t block_rank = blocked ? 2 : 0;
    if (compressed.empty() || plain.size() != compressed.size()) return false;
    const std::size_t batches = compressed.size() - 1;
    if (values.size() < batches + 1 + block_rank || whole.size() < batches + 2) return false;
    const Shape block = values.subspan(batches + 1, block_rank), dense = whole.subspan(batches + 2);
    const std::array<std::int64_t, 2> tile = {blocked ? block[0] : 1, blocked ? block[1] : 1};
    if (tile[0] <= 0 || tile[1] <= 0 || whole[batches] % tile[0] != 0 || whole[batches + 1] % tile[1] != 0)
      return false;
    const std::size_t axis = by_rows ? 0 : 1;
    return compressed[batches] == whole[batches + axis] / tile[axis] + 1 &&
           plain[batches] == values[batches] && equal(compressed.first(batches), plain.first(batches)) &&
           equal(compressed.first(batches), values.first(batches)) &&
           equal(compressed.first(batches), whole.first(batches)) &&
           equal(values.subspan(batches + 1 + block_rank), dense);
  }

  // values [elements], sizes and strides [tensors, rank], offsets [tensors].  Of no tensors, torch saves
  // tables of one dimension, which it does not load itself.
  void check_nested() const {
    need(4, 4);
    const Tensor &values = tensor(0, "values"), &sizes = tensor(1, "sizes"), &strides = tensor(2, "strides"),
                 &offsets = tensor(3, "offsets");
    for (const Tensor* table : {&sizes, &strides, &offsets})
      if (table->dtype != DType::int64) fail("a table of a nested tensor is not of int64");
    if (values.rank != 1 || offsets.rank != 1 || sizes.rank != 2 || !equal(shape(sizes), shape(strides)) ||
        shape(sizes)[0] != shape(offsets)[0])
      fail("the parts of a nested tensor do not fit each other");
  }

  // the integers, and (scale, zero point) or (scales, zero points, axis)
  void check_quantized(Composite form) const {
    const bool whole = form == Composite::per_tensor;
    need(whole ? 3 : 4, whole ? 3 : 4);
    const Tensor& integers = tensor(0, "integers");
    if (!info(integers.dtype).quantized)
      fail("a quantized tensor lies in a storage of " + std::string(info(integers.dtype).name));
    if (whole) {
      if (graph_.kind(parts_[1]) != Kind::real || graph_.kind(parts_[2]) != Kind::integer)
        fail("a scale and a zero point are a float and an integer");
      return;
    }
    const std::int64_t axis = graph_.kind(parts_[3]) == Kind::integer ? graph_.integer(parts_[3]) : -1;
    if (axis < 0 || axis >= integers.rank) fail("the axis of the channels lies outside of a tensor");
    const std::int64_t channels = shape(integers)[static_cast<std::size_t>(axis)];
    if (count(1) != channels || count(2) != channels)
      fail("there is not one scale and zero point for each of " + std::to_string(channels) + " channels");
  }

  // Scales and zero points are tensors, or lists of numbers.
  std::int64_t count(std::size_t i) const {
    if (graph_.kind(parts_[i]) == Kind::tensor) return numel(checkpoint_, tensor(i, "scales or zero points"));
    if (graph_.kind(parts_[i]) != Kind::list) return -1;
    const auto items = graph_.items(parts_[i]);
    const bool numbers = std::all_of(items.begin(), items.end(), [&](NodeId item) {
      return graph_.kind(item) == Kind::real || graph_.kind(item) == Kind::integer;
    });
    return numbers ? static_cast<std::int64_t>(items.size()) : -1;
  }

  const Checkpoint& checkpoint_;
  const ValueGraph& graph_;
  std::span<const NodeId> parts_;
};

std::size_t values_slot(Composite form) {
  if (form == Composite::sparse_coo) return 1;
  return form < Composite::nested ? 2 : 0;
}

}  // namespace

std::optional<std::vector<std::int64_t>> sizes_of(const ValueGraph& graph, NodeId node) {
  if (graph.kind(node) != Kind::tuple && graph.kind(node) != Kind::size) return std::nullopt;
  std::vector<std::int64_t> sizes;
  for (const NodeId item : graph.items(node)) {
    if (graph.kind(item) != Kind::integer || graph.integer(item) < 0) return std::nullopt;
    sizes.push_back(graph.integer(item));
  }
  return sizes;
}

void check_parts(const Checkpoint& checkpoint, Composite form, std::span<const NodeId> parts) {
  Parts(checkpoint, parts).check(form);
}

std::vector<std::int64_t> shape_of(const Checkpoint& checkpoint, NodeId composite) {
  const ValueGraph& graph = checkpoint.values;
  const Composite form = graph.composite(composite);
  const auto parts = graph.items(composite);
  if (form < Composite::nested)
    return sizes_of(graph, parts[form == Composite::sparse_coo ? 2 : 3])
        .value_or(std::vector<std::int64_t>());
  const std::size_t slot = form == Composite::nested ? 3 : 0;  // offsets, integers
  const auto shape = checkpoint.shape(checkpoint.tensors[graph.index(parts[slot])]);
  return {shape.begin(), shape.end()};
}

const Tensor& values_of(const Checkpoint& checkpoint, NodeId composite) {
  const ValueGraph& graph = checkpoint.values;
  return checkpoint.tensors[graph.index(graph.items(composite)[values_slot(graph.composite(composite))])];
}

}  // namespace ferry
