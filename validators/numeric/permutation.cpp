#include "validators/numeric/permutation.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <string>
#include <type_traits>

#include "src/core/text.h"
#include "validators/numeric/joint_layout.h"
#include "validators/numeric/numbers.h"

namespace ferry::numeric {
namespace {

constexpr std::uint64_t kPermutationBoxElements = 64 << 10;
constexpr std::uint64_t kProofElements = std::uint64_t{2}
                                         << 20;  // slices are whole there, so boxes are larger
constexpr std::uint64_t kRunBytes = 1 << 10;     // of a slice that is worth reading by itself
constexpr std::int64_t kSlicesMax = std::int64_t{1} << 20;
constexpr std::size_t kNamedMax = 4;    // moves that are said one by one
constexpr std::size_t kBlocksMax = 16;  // blocks whose order is said

// The finalizer of MurmurHash3 (public domain): every bit of the input changes half of the output.
std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdULL;
  x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53ULL;
  return x ^ (x >> 33);
}

// Of the bits of an element.
template <std::size_t kSize>
std::uint64_t hash_element(const std::byte* at) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, at, std::min<std::size_t>(kSize, 8));
  if constexpr (kSize > 8) bits = mixed(bits) + load_bits(at + 8, 8);
  return mixed(bits);
}

// Of an element at a place.
std::uint64_t placed(std::uint64_t hash, std::uint64_t place) {
  const std::uint64_t x = (hash + place * 0x9e3779b97f4a7c15ULL) * 0xff51afd7ed558ccdULL;
  return (x ^ (x >> 32)) * 0xc4ceb9fe1a85ec53ULL;
}

// Of all elements of some bytes.
void hash_elements(Bytes bytes, std::size_t itemsize, std::vector<std::uint64_t>& hashes) {
  hashes.resize(bytes.size() / itemsize);
  const auto each = [&]<std::size_t kSize>(std::integral_constant<std::size_t, kSize>) {
    for (std::size_t i = 0; i < hashes.size(); ++i) hashes[i] = hash_element<kSize>(bytes.data() + i * kSize);
  };
  switch (itemsize) {
    case 1:
      return each(std::integral_constant<std::size_t, 1>{});
    case 2:
      return each(std::integral_constant<std::size_t, 2>{});
    case 4:
      return each(std::integral_constant<std::size_t, 4>{});
    case 8:
      return each(std::integral_constant<std::size_t, 8>{});
    default:
      return each(std::integral_constant<std::size_t, 16>{});
  }
}

using SliceHashes = std::vector<std::vector<std::uint64_t>>;  // by axis; empty for axes that are not tried

// Adds one row: elements along the last axis, the first of which has the coordinates `at`.
void hash_row(std::span<const std::int64_t> at, std::span<const std::uint64_t> places,
              std::span<const std::uint64_t> row, SliceHashes& hashes) {
  const std::size_t last = at.size() - 1;
  std::uint64_t first = 0;  // row-major index
  for (std::size_t i = 0; i <= last; ++i) first += static_cast<std::uint64_t>(at[i]) * places[i];
  for (std::size_t axis = 0; axis <= last; ++axis) {
    if (hashes[axis].empty()) continue;
    // The place inside a slice: the index as it is in slice 0.
    const std::uint64_t place = first - static_cast<std::uint64_t>(at[axis]) * places[axis];
    std::uint64_t* const sums = hashes[axis].data() + at[axis];
    if (axis == last)
      for (std::size_t j = 0; j < row.size(); ++j) sums[j] += placed(row[j], place);
    else
      for (std::size_t j = 0; j < row.size(); ++j) sums[0] += placed(row[j], place + j);
  }
}

SliceHashes hash_slices(const TensorView& view) {
  const std::size_t rank = view.shape.size(), itemsize = info(view.dtype).itemsize;
  std::vector<std::uint64_t> places(rank, 1);
  for (std::size_t i = rank - 1; i-- > 0;)
    places[i] = places[i + 1] * static_cast<std::uint64_t>(view.shape[i + 1]);
  SliceHashes hashes(rank);
  for (std::size_t i = 0; i < rank; ++i)
    if (view.shape[i] > 1 && view.shape[i] <= kSlicesMax)
      hashes[i].resize(static_cast<std::size_t>(view.shape[i]));
  BoxPlan boxes(view.shape, view.strides, view.strides, kPermutationBoxElements);
  std::vector<std::byte> bytes;
  std::vector<std::uint64_t> elements;
  std::vector<std::int64_t> at;
  for (std::uint64_t i = 0; i < boxes.count(); ++i) {
    const Box box = boxes.box(i);
    bytes.resize(box_elements(box) * itemsize);
    read_box(view, box, bytes);
    at.assign(box.first.begin(), box.first.end());
    hash_elements(bytes, itemsize, elements);
    const auto row = static_cast<std::size_t>(box.count[rank - 1]);
    for (auto rest = std::span<const std::uint64_t>(elements); !rest.empty(); rest = rest.subspan(row)) {
      hash_row(at, places, rest.first(row), hashes);
      for (std::size_t axis = rank - 1; axis-- > 0;) {  // to the next row of the box
        if (++at[axis] < box.first[axis] + box.count[axis]) break;
        at[axis] = box.first[axis];
      }
    }
  }
  return hashes;
}

// Slices that are where they were stay there; the others are paired in the order of their hashes.
std::vector<std::uint32_t> match(std::span<const std::uint64_t> before,
                                 std::span<const std::uint64_t> after) {
  std::vector<std::uint32_t> order(after.size()), from, to;
  for (std::uint32_t j = 0; j < after.size(); ++j) {
    order[j] = j;
    if (before[j] == after[j]) continue;
    from.push_back(j);
    to.push_back(j);
  }
  std::stable_sort(from.begin(), from.end(), [&](auto a, auto b) { return before[a] < before[b]; });
  std::stable_sort(to.begin(), to.end(), [&](auto a, auto b) { return after[a] < after[b]; });
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (before[from[i]] != after[to[i]]) return {};
    order[to[i]] = from[i];
  }
  if (from.empty()) return {};
  return order;
}

std::vector<std::byte> bytes_of(const TensorView& view, const Box& box) {
  std::vector<std::byte> bytes(box_elements(box) * info(view.dtype).itemsize);
  read_box(view, box, bytes);
  return bytes;
}

// Every slice, byte by byte: neighbours that stay neighbours are read together.
bool holds_by_runs(const TensorView& before, const TensorView& after, const SliceOrder& found) {
  BoxPlan boxes(before.shape, before.strides, after.strides, kProofElements);
  std::vector<std::int64_t> from, to, count;
  for (std::uint64_t i = 0; i < boxes.count(); ++i) {
    const Box box = boxes.box(i);
    to.assign(box.first.begin(), box.first.end());
    from = to;
    count.assign(box.count.begin(), box.count.end());
    const std::int64_t end = to[found.axis] + count[found.axis];
    for (std::int64_t& at = to[found.axis]; at < end; at += count[found.axis]) {
      const auto first = found.order.begin() + at;
      std::int64_t run = 1;
      while (at + run < end && first[run] == *first + run) ++run;
      count[found.axis] = run;
      from[found.axis] = *first;
      if (bytes_of(before, {from, count}) != bytes_of(after, {to, count})) return false;
    }
  }
  return true;
}

// The same for slices whose neighbours lie between each other: all slices are read, a part of each at a time.
bool holds_by_parts(const TensorView& before, const TensorView& after, const SliceOrder& found) {
  BoxPlan boxes(before.shape, before.strides, after.strides, kProofElements, found.axis);
  for (std::uint64_t i = 0; i < boxes.count(); ++i) {
    const Box box = boxes.box(i);
    const auto before_bytes = bytes_of(before, box), after_bytes = bytes_of(after, box);
    std::size_t inner = info(before.dtype).itemsize;
    for (std::size_t axis = found.axis + 1; axis < box.count.size(); ++axis)
      inner *= static_cast<std::size_t>(box.count[axis]);
    const std::size_t slices = found.order.size(), plane = slices * inner;
    for (std::size_t at = 0; at < after_bytes.size(); at += plane)
      for (std::size_t j = 0; j < slices; ++j)
        if (std::memcmp(after_bytes.data() + at + j * inner,
                        before_bytes.data() + at + found.order[j] * inner, inner) != 0)
          return false;
  }
  return true;
}

bool holds(const TensorView& before, const TensorView& after, const SliceOrder& found) {
  std::uint64_t inner = info(before.dtype).itemsize;
  for (std::size_t axis = found.axis + 1; axis < before.shape.size(); ++axis)
    inner *= static_cast<std::uint64_t>(before.shape[axis]);
  return inner >= kRunBytes ? holds_by_runs(before, after, found) : holds_by_parts(before, after, found);
}

std::string axis_name(std::size_t axis, std::size_t rank) {
  if (rank == 1) return "elements";
  if (rank == 2) return axis == 0 ? "rows" : "columns";
  if (rank == 4 && axis < 2) return axis == 0 ? "output channels" : "input channels";
  return "slices of axis " + std::to_string(axis);
}

// The largest size of blocks that move as wholes; 1 when there is none above.
std::size_t block_size(std::span<const std::uint32_t> order) {
  for (std::size_t size = order.size() / 2; size > 1; --size) {
    if (order.size() % size != 0) continue;
    bool moves = true;
    for (std::size_t j = 0; j < order.size() && moves; ++j)
      moves = j % size == 0 ? order[j] % size == 0 : order[j] == order[j - 1] + 1;
    if (moves) return size;
  }
  return 1;
}

}  // namespace

ContentSum content_sum(const TensorView& view) {
  const std::size_t itemsize = info(view.dtype).itemsize;
  BoxPlan boxes(view.shape, view.strides, view.strides, kPermutationBoxElements);
  std::vector<std::byte> bytes;
  std::vector<std::uint64_t> elements;
  ContentSum sum;
  for (std::uint64_t i = 0; i < boxes.count(); ++i) {
    const Box box = boxes.box(i);
    bytes.resize(box_elements(box) * itemsize);
    read_box(view, box, bytes);
    hash_elements(bytes, itemsize, elements);
    for (const std::uint64_t hash : elements) {
      sum.one += hash;
      sum.two += mixed(hash + 1);
    }
  }
  return sum;
}

std::optional<SliceOrder> find_slice_order(const TensorView& before, const TensorView& after) {
  if (before.shape.empty()) return std::nullopt;
  const SliceHashes from = hash_slices(before), to = hash_slices(after);
  for (std::size_t axis = 0; axis < from.size(); ++axis) {
    SliceOrder found{axis, match(from[axis], to[axis])};
    if (!found.order.empty() && holds(before, after, found)) return found;
  }
  return std::nullopt;
}

Explanation slice_order_text(const SliceOrder& found, std::size_t rank) {
  const auto& order = found.order;
  const std::string name = axis_name(found.axis, rank);
  const std::size_t count = order.size(), size = block_size(order), blocks = count / size;
  bool reversed = count > 2;
  for (std::size_t j = 0; j < count && reversed; ++j) reversed = order[j] == count - 1 - j;
  if (reversed) return {Cause::reversed, name + " in reverse order"};
  if (size > 1 && blocks <= kBlocksMax) {
    std::string text = name + " permuted, " + std::to_string(blocks) + " blocks of " + grouped(size) + ":";
    for (std::size_t block = 0; block < blocks; ++block)
      text += " " + std::to_string(order[block * size] / size);
    return {Cause::permuted, text};
  }
  std::size_t moved = 0;
  std::string moves;
  for (std::size_t j = 0; j < count; ++j) {
    if (order[j] == j || ++moved > kNamedMax) continue;
    moves += (moves.empty() ? "" : ", ") + std::to_string(j) + " ← " + std::to_string(order[j]);
  }
  return {Cause::permuted, name + " permuted, " + grouped(moved) + " of " + grouped(count) +
                               " moved: " + moves + (moved > kNamedMax ? " …" : "")};
}

}  // namespace ferry::numeric
