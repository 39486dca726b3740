#include "validators/numeric/pair_work.h"

#include <algorithm>
#include <cstring>

#include "validators/numeric/joint_layout.h"
#include "validators/numeric/measure_block.h"
#include "validators/numeric/tensor_reader.h"

namespace ferry::numeric {
namespace {

// Of a side: reads that are long enough, and stay in the last cache.
constexpr std::uint64_t kBlockBytes = 256 << 10;
constexpr std::uint64_t kBoxBytes = std::uint64_t{1}
                                    << 20;  // wide enough for runs of kilobytes on both sides

bool same_bytes(std::span<const std::byte> a, std::span<const std::byte> b) {
  return std::memcmp(a.data(), b.data(), a.size()) == 0;
}

// Bytes [first, first + size) of chunk `part` of a run of bytes.
ByteRange chunk_of(std::uint64_t part, std::uint64_t total) {
  const std::uint64_t first = part * kChunkBytes;
  return {first, std::min(kChunkBytes, total - first)};
}

// Contiguous on both sides: parts are chunks, taken block by block.
class ContiguousWork final : public PairWork {
 public:
  ContiguousWork(const TensorPair& pair, std::size_t number, const Tap& tap)
      : pair_(pair), number_(number), tap_(tap), size_(pair.before.size_bytes()) {}

  std::uint64_t parts() const override { return (size_ + kChunkBytes - 1) / kChunkBytes; }
  std::uint64_t part_bytes(std::uint64_t part) const override { return 2 * chunk_of(part, size_).size; }

  Seen compare(std::uint64_t part, Scratch& scratch, Drift& drift) const override {
    const ByteRange chunk = chunk_of(part, size_);
    bool differs = false;
    for (std::uint64_t at = chunk.offset; at < chunk.end(); at += kBlockBytes) {
      const std::uint64_t size = std::min(kBlockBytes, chunk.end() - at);
      const auto before = scratch.before_bytes(size), after = scratch.after_bytes(size);
      pair_.before.source->read_at(pair_.before.offset + at, before);
      pair_.after.source->read_at(pair_.after.offset + at, after);
      const bool equal = same_bytes(before, after);
      if (tap_) tap_({number_, part, before, after, equal});
      if (differs && !pair_.before.big_endian)
        measure_block(before, after, at / itemsize(), drift);
      else if (differs)
        measure_bytes({at, size}, scratch, drift);
      else if (!equal)  // what was equal so far is read again
        measure_bytes({chunk.offset, at + size - chunk.offset}, scratch, drift);
      differs = differs || !equal;
    }
    return differs ? Seen::measured : Seen::equal;
  }

  void measure(std::uint64_t part, Scratch& scratch, Drift& drift) const override {
    measure_bytes(chunk_of(part, size_), scratch, drift);
  }

 private:
  std::uint64_t itemsize() const { return info(pair_.before.dtype).itemsize; }

  void measure_bytes(ByteRange range, Scratch& scratch, Drift& drift) const {
    for (std::uint64_t at = range.offset; at < range.end(); at += kBlockBytes) {
      const std::uint64_t size = std::min(kBlockBytes, range.end() - at);
      const auto before = scratch.before_bytes(size), after = scratch.after_bytes(size);
      read_elements(pair_.before, at / itemsize(), size / itemsize(), before);
      read_elements(pair_.after, at / itemsize(), size / itemsize(), after);
      measure_block(before, after, at / itemsize(), drift);
    }
  }

  TensorPair pair_;
  std::size_t number_;
  const Tap& tap_;
  std::uint64_t size_;
};

// Any two layouts: parts are runs of boxes.
class BoxWork final : public PairWork {
 public:
  explicit BoxWork(const JointLayout& layout)
      : layout_(layout),
        boxes_(layout.shape(), layout.before().strides, layout.after().strides, room(layout)) {
    const std::uint64_t box_bytes = boxes_.elements() * itemsize_max(layout);
    boxes_per_part_ = std::max<std::uint64_t>(1, kChunkBytes / box_bytes);
  }

  std::uint64_t parts() const override { return (boxes_.count() + boxes_per_part_ - 1) / boxes_per_part_; }
  std::uint64_t times() const override { return layout_.times(); }

  std::uint64_t part_bytes(std::uint64_t part) const override {
    BoxPlan boxes = boxes_;
    std::uint64_t elements = 0;
    for (std::uint64_t i = first_box(part); i < first_box(part + 1); ++i)
      elements += box_elements(boxes.box(i));
    return elements * (itemsize(layout_.before()) + itemsize(layout_.after()));
  }

  Seen compare(std::uint64_t part, Scratch& scratch, Drift& drift) const override {
    const bool one_type = layout_.before().dtype == layout_.after().dtype;
    BoxPlan boxes = boxes_;
    for (std::uint64_t i = first_box(part); i < first_box(part + 1) && one_type; ++i) {
      const auto [before, after] = read(boxes.box(i), scratch);
      if (same_bytes(before, after)) continue;
      measure(part, scratch, drift);
      return Seen::measured;
    }
    if (one_type) return Seen::equal;
    measure(part, scratch, drift);
    return Seen::measured;
  }

  void measure(std::uint64_t part, Scratch& scratch, Drift& drift) const override {
    BoxPlan boxes = boxes_;
    for (std::uint64_t i = first_box(part); i < first_box(part + 1); ++i) {
      const Box box = boxes.box(i);
      const auto [before, after] = read(box, scratch);
      Drift one;
      one.before = drift.before;
      one.after = drift.after;
      one.with_hull = drift.with_hull;
      measure_block(before, after, 0, one);
      if (one.worst) one.worst->element = layout_.index(box, one.worst->element);
      merge_parts(drift, one);
    }
  }

 private:
  static std::uint64_t itemsize(const TensorView& view) { return info(view.dtype).itemsize; }
  static std::uint64_t itemsize_max(const JointLayout& layout) {
    return std::max(itemsize(layout.before()), itemsize(layout.after()));
  }
  static std::uint64_t room(const JointLayout& layout) {
    return (layout.shape().size() <= 1 ? kBlockBytes : kBoxBytes) / itemsize_max(layout);
  }
  std::uint64_t first_box(std::uint64_t part) const {
    return std::min(part * boxes_per_part_, boxes_.count());
  }

  std::pair<std::span<std::byte>, std::span<std::byte>> read(const Box& box, Scratch& scratch) const {
    const std::uint64_t elements = box_elements(box);
    const TensorView before = layout_.before(), after = layout_.after();
    const auto before_bytes = scratch.before_bytes(elements * itemsize(before));
    const auto after_bytes = scratch.after_bytes(elements * itemsize(after));
    read_box(before, box, before_bytes);
    read_box(after, box, after_bytes);
    return {before_bytes, after_bytes};
  }

  JointLayout layout_;
  BoxPlan boxes_;
  std::uint64_t boxes_per_part_ = 1;
};

// Both sides lie in their sources in the same way, in whatever order: equal bytes are equal tensors.
class SamePlacesWork final : public PairWork {
 public:
  explicit SamePlacesWork(const JointLayout& layout) : layout_(layout), size_(layout.extent_bytes()) {}

  std::uint64_t parts() const override { return (size_ + kChunkBytes - 1) / kChunkBytes; }
  std::uint64_t part_bytes(std::uint64_t part) const override { return 2 * chunk_of(part, size_).size; }

  Seen compare(std::uint64_t part, Scratch& scratch, Drift&) const override {
    const ByteRange chunk = chunk_of(part, size_);
    const TensorView one = layout_.before(), other = layout_.after();
    for (std::uint64_t at = chunk.offset; at < chunk.end(); at += kBlockBytes) {
      const std::uint64_t size = std::min(kBlockBytes, chunk.end() - at);
      const auto before = scratch.before_bytes(size), after = scratch.after_bytes(size);
      one.source->read_at(one.offset + at, before);
      other.source->read_at(other.offset + at, after);
      if (!same_bytes(before, after)) return Seen::differs;
    }
    return Seen::equal;
  }

  bool measures() const override { return false; }
  void measure(std::uint64_t, Scratch&, Drift&) const override {}

  std::unique_ptr<PairWork> measurable() const override {
    if (!layout_.affordable()) return nullptr;
    return std::make_unique<BoxWork>(layout_);
  }

 private:
  JointLayout layout_;
  std::uint64_t size_;
};

}  // namespace

std::unique_ptr<PairWork> plan_work(const TensorPair& pair, std::size_t number, const Tap& tap) {
  if (in_order(pair)) return std::make_unique<ContiguousWork>(pair, number, tap);
  const JointLayout layout(pair.before, pair.after);
  if (layout.same_places()) return std::make_unique<SamePlacesWork>(layout);
  if (!layout.affordable()) return nullptr;
  return std::make_unique<BoxWork>(layout);
}

void merge_parts(Drift& drift, const Drift& part) {
  const auto rank = [](const Drift& of) { return std::pair(of.nonfinite_mismatches > 0, of.max_abs); };
  const auto mine = drift.worst;
  const bool mismatch = drift.nonfinite_mismatches > 0 && part.nonfinite_mismatches > 0;
  const bool equals = mismatch || rank(drift) == rank(part);
  drift.merge(part);
  if (mine && part.worst && equals && part.worst->element < mine->element) drift.worst = part.worst;
}

Drift empty_drift(const TensorPair& pair) {
  Drift drift;
  drift.before = pair.before.dtype;
  drift.after = pair.after.dtype;
  return drift;
}

}  // namespace ferry::numeric
