#include "validators/numeric/tensor_reader.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

namespace ferry::numeric {
namespace {

// A read costs about as much as copying this many bytes more, so smaller gaps are read and thrown away.
constexpr std::uint64_t kGapBytes = 4 << 10;
constexpr std::uint64_t kEnvelopeBytes = std::uint64_t{1} << 20;
constexpr std::uint64_t kLineBytes = 64;  // of the cache
constexpr std::uint64_t kPlaneTile = 32;  // elements: two tiles of 16-byte elements stay in the first cache

// An axis of a box; distances in elements.
struct Axis {
  std::uint64_t count, stride, place;  // stride in the source, place in the result
};

// The axes of a box without those of one element, joined where one continues the next in the source.
std::vector<Axis> axes_of(const TensorView& view, std::span<const std::int64_t> count) {
  std::vector<Axis> axes;
  std::uint64_t place = 1;
  for (std::size_t i = count.size(); i-- > 0;) {
    const auto size = static_cast<std::uint64_t>(count[i]);
    if (size == 1) continue;
    const auto stride = static_cast<std::uint64_t>(view.strides[i]);
    if (!axes.empty() && stride == axes.back().stride * axes.back().count)
      axes.back().count *= size;
    else
      axes.push_back({size, stride, place});
    place *= size;
  }
  return axes;
}

// What one read covers, and how often it is repeated.
struct ReadPlan {
  std::vector<Axis> inner;  // by growing stride; the last one may be a part of an axis
  std::vector<Axis> outer;  // walked read by read; the first one holds the other parts when `split` is not 0
  std::uint64_t split = 0;  // the whole count of the axis that the last of `inner` is a part of
};

std::uint64_t extent_of(std::span<const Axis> axes) {
  std::uint64_t extent = 1;
  for (const Axis& axis : axes) extent += (axis.count - 1) * axis.stride;  // inside the source
  return extent;
}

// Axes join one read, the narrowest first, while the gaps between their steps are cheaper than more reads.
ReadPlan plan_reads(std::vector<Axis> axes, std::uint64_t itemsize) {
  std::stable_sort(axes.begin(), axes.end(),
                   [](const Axis& a, const Axis& b) { return a.stride < b.stride; });
  ReadPlan plan;
  std::uint64_t extent = 1;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    Axis axis = axes[i];
    const std::uint64_t gap = axis.stride > extent ? axis.stride - extent : 0;
    const std::uint64_t room = kEnvelopeBytes / itemsize;
    const bool endless = axis.stride == 0 || (plan.inner.empty() && axis.stride == 1 && axis.place == 1);
    const std::uint64_t steps = endless          ? axis.count
                                : extent >= room ? 1
                                                 : std::min(axis.count, 1 + (room - extent) / axis.stride);
    if (gap * itemsize > kGapBytes || steps < 2) {
      plan.outer.insert(plan.outer.end(), axes.begin() + static_cast<std::ptrdiff_t>(i), axes.end());
      break;
    }
    plan.inner.push_back({steps, axis.stride, axis.place});
    extent += (steps - 1) * axis.stride;
    if (steps == axis.count) continue;
    plan.split = axis.count;
    plan.outer.push_back({(axis.count + steps - 1) / steps, axis.stride * steps, axis.place * steps});
    plan.outer.insert(plan.outer.end(), axes.begin() + static_cast<std::ptrdiff_t>(i) + 1, axes.end());
    break;
  }
  return plan;
}

// Steps through all positions of `axes`, the first axis fastest, keeping two distances.
class Odometer {
 public:
  explicit Odometer(std::span<const Axis> axes) : axes_(axes), position_(axes.size()) {}
  std::uint64_t stride() const { return stride_; }
  std::uint64_t place() const { return place_; }
  bool next() {
    for (std::size_t i = 0; i < axes_.size(); ++i) {
      stride_ += axes_[i].stride;
      place_ += axes_[i].place;
      if (++position_[i] < axes_[i].count) return true;
      stride_ -= axes_[i].stride * axes_[i].count;
      place_ -= axes_[i].place * axes_[i].count;
      position_[i] = 0;
    }
    return false;
  }

 private:
  std::span<const Axis> axes_;
  std::vector<std::uint64_t> position_;
  std::uint64_t stride_ = 0, place_ = 0;
};

template <std::size_t kSize>
void copy_line(const std::byte* from, std::byte* to, const Axis& axis) {
  if (axis.stride == 1 && axis.place == 1) {
    std::memcpy(to, from, axis.count * kSize);
    return;
  }
  for (std::uint64_t i = 0; i < axis.count; ++i)
    std::memcpy(to + i * axis.place * kSize, from + i * axis.stride * kSize, kSize);
}

// Two axes, of which `a` is narrow in one place and `b` in the other: in tiles, so that no cache line is
// fetched for one element only.
template <std::size_t kSize>
void copy_plane(const std::byte* from, std::byte* to, const Axis& a, const Axis& b) {
  for (std::uint64_t i = 0; i < a.count; i += kPlaneTile) {
    const Axis part{std::min(kPlaneTile, a.count - i), a.stride, a.place};
    for (std::uint64_t j = 0; j < b.count; ++j)
      copy_line<kSize>(from + (i * a.stride + j * b.stride) * kSize, to + (i * a.place + j * b.place) * kSize,
                       part);
  }
}

// From the bytes of one read to their places.
template <std::size_t kSize>
void scatter(std::vector<Axis> axes, const std::byte* from, std::byte* to) {
  Axis line{1, 1, 1}, other{1, 0, 0};
  const auto narrowest = [](const Axis& a, const Axis& b) { return a.place < b.place; };
  if (!axes.empty()) {  // written line by line
    const auto at = std::min_element(axes.begin(), axes.end(), narrowest);
    line = *at;
    axes.erase(at);
  }
  if (!axes.empty() && line.stride != 1) {  // read line by line: the axes stay sorted by stride
    other = axes.front();
    axes.erase(axes.begin());
  }
  Odometer odometer(axes);
  do {
    const std::byte* source = from + odometer.stride() * kSize;
    std::byte* target = to + odometer.place() * kSize;
    if (other.count == 1)
      copy_line<kSize>(source, target, line);
    else
      copy_plane<kSize>(source, target, line, other);
  } while (odometer.next());
}

void scatter(std::size_t itemsize, const std::vector<Axis>& axes, const std::byte* from, std::byte* to) {
  switch (itemsize) {
    case 1:
      return scatter<1>(axes, from, to);
    case 2:
      return scatter<2>(axes, from, to);
    case 4:
      return scatter<4>(axes, from, to);
    case 8:
      return scatter<8>(axes, from, to);
    default:
      return scatter<16>(axes, from, to);
  }
}

template <typename Word>
void negate_integers(std::span<std::byte> out) {
  for (std::size_t at = 0; at < out.size(); at += sizeof(Word)) {
    Word word;
    std::memcpy(&word, out.data() + at, sizeof word);
    word = static_cast<Word>(Word{0} - word);
    std::memcpy(out.data() + at, &word, sizeof word);
  }
}

bool is_integer(DType dtype) {
  switch (dtype) {
    case DType::uint8:
    case DType::int8:
    case DType::int16:
    case DType::int32:
    case DType::int64:
    case DType::uint16:
    case DType::uint32:
    case DType::uint64:
      return true;
    default:
      return false;
  }
}

bool is_complex(DType dtype) {
  return dtype == DType::complex32 || dtype == DType::complex64 || dtype == DType::complex128;
}

void negate(DType dtype, std::size_t unit, std::span<std::byte> out) {
  if (is_integer(dtype)) {
    switch (unit) {
      case 1:
        return negate_integers<std::uint8_t>(out);
      case 2:
        return negate_integers<std::uint16_t>(out);
      case 4:
        return negate_integers<std::uint32_t>(out);
      default:
        return negate_integers<std::uint64_t>(out);
    }
  }
  for (std::size_t at = unit - 1; at < out.size(); at += unit) out[at] ^= std::byte{0x80};
}

// Byte order and lazy bits, in place.
void resolve(const TensorView& view, std::span<std::byte> out) {
  const std::size_t unit = info(view.dtype).swap_unit;
  if (view.big_endian && unit > 1)
    for (std::size_t at = 0; at < out.size(); at += unit)
      std::reverse(out.data() + at, out.data() + at + unit);
  if (view.conjugated && is_complex(view.dtype))  // the last byte of every other part has the sign
    for (std::size_t at = 2 * unit - 1; at < out.size(); at += 2 * unit) out[at] ^= std::byte{0x80};
  if (view.negated) negate(view.dtype, unit, out);
}

// The reads along one axis whose bytes lie beside each other in a buffer before they are scattered together:
// turning runs into columns one run at a time would touch every cache line of the result for every run.
struct Batch {
  Axis axis{1, 0, 0};
  std::uint64_t reads = 1;
  std::uint64_t room =
      0;  // elements from one to the next: an odd number of cache lines, so that they do not collide
};

Batch plan_batch(const ReadPlan& plan, std::uint64_t itemsize) {
  Batch batch;
  const std::uint64_t lines = (extent_of(plan.inner) * itemsize / kLineBytes + 1) | 1;
  batch.room = lines * kLineBytes / itemsize;
  if (plan.outer.empty()) return batch;
  batch.axis = plan.outer.front();
  if (plan.split == 0)
    batch.reads = std::clamp<std::uint64_t>(kEnvelopeBytes / (lines * kLineBytes), 1, batch.axis.count);
  return batch;
}

// All positions of the plan's reads.
void read_scattered(const TensorView& view, std::uint64_t offset, ReadPlan plan, std::byte* out) {
  const std::size_t itemsize = info(view.dtype).itemsize;
  const Batch batch = plan_batch(plan, itemsize);
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(batch.reads * batch.room * itemsize);
  const std::uint64_t steps = plan.inner.empty() ? 1 : plan.inner.back().count;
  Odometer odometer(std::span(plan.outer).subspan(plan.outer.empty() ? 0 : 1));
  do {
    for (std::uint64_t first = 0; first < batch.axis.count; first += batch.reads) {
      const std::uint64_t reads = std::min(batch.reads, batch.axis.count - first);
      if (plan.split != 0) plan.inner.back().count = std::min(steps, plan.split - first * steps);
      const std::uint64_t from = odometer.stride() + first * batch.axis.stride;
      const std::uint64_t bytes = extent_of(plan.inner) * itemsize;
      for (std::uint64_t i = 0; i < reads; ++i)
        view.source->read_at(offset + (from + i * batch.axis.stride) * itemsize,
                             {buffer.get() + i * batch.room * itemsize, bytes});
      auto axes = plan.inner;
      if (reads > 1) axes.push_back({reads, batch.room, batch.axis.place});
      scatter(itemsize, axes, buffer.get(), out + (odometer.place() + first * batch.axis.place) * itemsize);
    }
  } while (odometer.next());
}

void read_axes(const TensorView& view, std::uint64_t offset, std::vector<Axis> axes,
               std::span<std::byte> out) {
  const std::size_t itemsize = info(view.dtype).itemsize;
  if (axes.empty() || (axes.size() == 1 && axes[0].stride == 1)) {
    view.source->read_at(offset, out);
    return;
  }
  ReadPlan plan = plan_reads(std::move(axes), itemsize);
  const bool runs = plan.inner.size() == 1 && plan.inner[0].stride == 1 && plan.inner[0].place == 1;
  if (!runs || plan.split != 0) return read_scattered(view, offset, std::move(plan), out.data());
  Odometer odometer(plan.outer);
  do {
    view.source->read_at(offset + odometer.stride() * itemsize,
                         out.subspan(odometer.place() * itemsize, plan.inner[0].count * itemsize));
  } while (odometer.next());
}

}  // namespace

void read_box(const TensorView& view, const Box& box, std::span<std::byte> out) {
  if (out.empty()) return;
  std::uint64_t first = 0;
  for (std::size_t i = 0; i < box.first.size(); ++i)
    first += static_cast<std::uint64_t>(box.first[i]) * static_cast<std::uint64_t>(view.strides[i]);
  read_axes(view, view.offset + first * info(view.dtype).itemsize, axes_of(view, box.count), out);
  resolve(view, out);
}

void read_elements(const TensorView& view, std::uint64_t first, std::uint64_t count,
                   std::span<std::byte> out) {
  const std::size_t itemsize = info(view.dtype).itemsize;
  if (view.contiguous()) {
    view.source->read_at(view.offset + first * itemsize, out);
    return resolve(view, out);
  }
  // The range is cut into boxes that grow from elements to rows to planes and shrink again.
  const std::size_t rank = view.shape.size();
  std::vector<std::int64_t> at(rank), counts(rank);
  while (count > 0) {
    std::uint64_t rest = first, inner = 1, taken = 1;
    bool grows = true;
    std::fill(counts.begin(), counts.end(), 1);
    for (std::size_t i = rank; i-- > 0;) {
      const auto size = static_cast<std::uint64_t>(view.shape[i]);
      at[i] = static_cast<std::int64_t>(rest % size);
      rest /= size;
      if (!grows) continue;
      const std::uint64_t steps = std::min(size - static_cast<std::uint64_t>(at[i]), count / inner);
      counts[i] = static_cast<std::int64_t>(steps);
      taken = inner * steps;
      inner *= size;
      grows = steps == size && count >= inner;
    }
    read_box(view, {at, counts}, out.first(taken * itemsize));
    out = out.subspan(taken * itemsize);
    first += taken;
    count -= taken;
  }
}

}  // namespace ferry::numeric
