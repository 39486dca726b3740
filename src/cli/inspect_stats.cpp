#include "src/cli/inspect_stats.h"

#include <algorithm>
#include <optional>

#include "formats/copy/storage_stream.h"
#include "src/report/inspection_tree.h"
#include "validators/structure/statistics.h"
#include "validators/structure/window.h"

namespace ferry::cli {
namespace {

// Bytes of a storage at places that only grow (or all lie in one block), as little-endian elements.
class ForwardReader {
 public:
  ForwardReader(const Storage& storage, std::size_t itemsize)
      : storage_(storage),
        block_(std::min<std::uint64_t>(kReadBlock - kReadBlock % itemsize, storage.bytes.size)) {
    if (storage.bytes.compression == Compression::deflated) inflate_.emplace(storage);
  }

  // As many of the bytes [at, at + size) as are at hand, at least one.
  Bytes view(std::uint64_t at, std::uint64_t size) {
    while (at >= end_) {
      if (!inflate_) end_ = at;  // what lies before is not needed
      begin_ = end_;
      const std::span piece =
          std::span(block_).first(std::min<std::uint64_t>(block_.size(), storage_.bytes.size - begin_));
      if (inflate_)
        inflate_->read(piece);
      else
        read_stored(piece);
      end_ = begin_ + piece.size();
    }
    return Bytes(block_).subspan(at - begin_, std::min(size, end_ - at));
  }

 private:
  void read_stored(std::span<std::byte> piece) {
    storage_.bytes.source->read_at(storage_.bytes.offset + begin_, piece);
    if (storage_.bytes.big_endian) copy::swap_bytes(piece, info(storage_.dtype).swap_unit);
  }

  const Storage& storage_;
  std::vector<std::byte> block_;
  std::optional<copy::StorageStream> inflate_;
  std::uint64_t begin_ = 0, end_ = 0;
};

// Short runs are collected, so that the meter gets pieces worth its while.
class Gather {
 public:
  explicit Gather(structure::StatisticsMeter& meter) : meter_(meter) { held_.reserve(kHeld); }
  ~Gather() { flush(); }
  void add(Bytes bytes) {
    if (bytes.size() >= kHeld / 8) return meter_.add(bytes);
    if (held_.size() + bytes.size() > kHeld) flush();
    held_.insert(held_.end(), bytes.begin(), bytes.end());
  }

 private:
  static constexpr std::size_t kHeld = std::size_t{32} << 10;
  void flush() {
    meter_.add(held_);
    held_.clear();
  }
  structure::StatisticsMeter& meter_;
  std::vector<std::byte> held_;
};

void measure(const Storage& storage, const structure::Window& window, std::size_t itemsize,
             structure::StatisticsMeter& meter) {
  ForwardReader reader(storage, itemsize);
  Gather gather(meter);
  structure::each_run(window, [&](std::uint64_t element, std::uint64_t count) {
    for (std::uint64_t at = element * itemsize, left = count * itemsize; left > 0;) {
      const Bytes piece = reader.view(at, left);
      gather.add(piece);
      at += piece.size();
      left -= piece.size();
    }
  });
}

// All of it once: what is measured after this is what was written.
void check_storage(const Storage& storage) {
  copy::StorageStream stream(storage);
  std::vector<std::byte> block(std::min<std::uint64_t>(kReadBlock, storage.bytes.size));
  for (std::uint64_t left = storage.bytes.size; left > 0;) {
    const auto piece = std::span(block).first(std::min<std::uint64_t>(block.size(), left));
    stream.read(piece);
    left -= piece.size();
  }
}

class Measurement {
 public:
  explicit Measurement(const Checkpoint& checkpoint)
      : checkpoint_(checkpoint), checked_(checkpoint.storages.size()) {
    budget_ = kBudgetBase;
    for (const Storage& storage : checkpoint.storages)
      budget_ += std::min(storage.bytes.size, kBudgetMost) * 16;
  }

  report::StatisticsFacts measure_one(const std::string& path, const Tensor& tensor) {
    report::StatisticsFacts facts;
    facts.path = path;
    facts.dtype = info(tensor.dtype).name;
    facts.why_not = reason_against(tensor);
    if (!facts.why_not.empty() || numel(checkpoint_, tensor) == 0) return facts;
    const Storage& storage = checkpoint_.storages[tensor.storage];
    const structure::Window window = structure::window_of(checkpoint_, tensor);
    if (!checked_[tensor.storage] && storage.bytes.crc) check_storage(storage);
    checked_[tensor.storage] = true;
    structure::StatisticsMeter meter(tensor.dtype);
    measure(storage, window, info(tensor.dtype).itemsize, meter);
    const structure::Statistics result = meter.result(window.times);
    facts.count = result.count;
    facts.zeros = result.zeros;
    facts.nans = result.nans;
    facts.infinities = result.infinities;
    facts.min = result.min;
    facts.max = result.max;
    facts.mean = result.mean;
    facts.std = result.std;
    return facts;
  }

 private:
  static constexpr std::uint64_t kBudgetBase = std::uint64_t{64} << 20, kBudgetMost = std::uint64_t{1} << 58;

  std::string reason_against(const Tensor& tensor) {
    if (tensor.storage == kNoStorage) return "meta tensor, no data";
    if (!structure::is_measurable(tensor.dtype)) return "elements are parts of bytes";
    if (numel(checkpoint_, tensor) == 0) return "";
    const structure::Window window = structure::window_of(checkpoint_, tensor);
    if (window.overlaps && !is_small(tensor, window)) return "its elements overlap";
    // A file can name one storage in any number of tensors; the work must follow from its size.
    const bool deflated = checkpoint_.storages[tensor.storage].bytes.compression == Compression::deflated;
    const std::uint64_t reach = window.overlaps ? kReadBlock : window.reach;
    const std::uint64_t cost = (reach + (deflated ? window.begin : 0)) * info(tensor.dtype).itemsize;
    if (cost > budget_) return "too many views of the same data";
    budget_ -= cost;
    return "";
  }

  // Elements that overlap are not visited in the order of their places: all of them have to be at hand.
  bool is_small(const Tensor& tensor, const structure::Window& window) const {
    const std::size_t itemsize = info(tensor.dtype).itemsize;
    return checkpoint_.storages[tensor.storage].bytes.compression == Compression::stored &&
           window.visits <= (1u << 22) && window.reach <= kReadBlock / itemsize / 2;
  }

  const Checkpoint& checkpoint_;
  std::vector<bool> checked_;
  std::uint64_t budget_;
};

}  // namespace

std::vector<report::StatisticsFacts> measure_tensors(const Checkpoint& checkpoint) {
  std::vector<report::StatisticsFacts> facts;
  Measurement measurement(checkpoint);
  report::each_tensor(checkpoint, [&](const std::string& path, const Tensor& tensor) {
    facts.push_back(measurement.measure_one(path, tensor));
  });
  checkpoint.source->check_unchanged();
  return facts;
}

}  // namespace ferry::cli
