// One pair of tensors in parts that can be compared side by side: what compare_tensors shares out to threads.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "src/core/drift.h"
#include "validators/numeric/compare.h"

namespace ferry::numeric {

// Two buffers of a thread: they grow and stay.
struct Scratch {
  std::vector<std::byte> before, after;
  std::span<std::byte> before_bytes(std::uint64_t size) { return room(before, size); }
  std::span<std::byte> after_bytes(std::uint64_t size) { return room(after, size); }

 private:
  static std::span<std::byte> room(std::vector<std::byte>& buffer, std::uint64_t size) {
    if (buffer.size() < size) buffer.resize(size);
    return std::span(buffer).first(size);
  }
};

enum class Seen : std::uint8_t { equal, measured, differs };  // differs: by how much is not known yet

// The parts of one pair; different ones at the same time from different threads.
class PairWork {
 public:
  virtual ~PairWork() = default;
  virtual std::uint64_t parts() const = 0;
  virtual std::uint64_t part_bytes(std::uint64_t part) const = 0;  // of both sides
  // Adds to `drift` what it measured; `equal` and `differs` leave it as it was.
  virtual Seen compare(std::uint64_t part, Scratch& scratch, Drift& drift) const = 0;
  virtual void measure(std::uint64_t part, Scratch& scratch, Drift& drift) const = 0;
  // How often each visited pair counts.
  virtual std::uint64_t times() const { return 1; }
  // False where parts can be compared, but not measured as they lie; then other parts of the same pair that
  // can be, or null when that would cost too much.
  virtual bool measures() const { return true; }
  virtual std::unique_ptr<PairWork> measurable() const { return nullptr; }
};

// Null when no order of visits is affordable.  Of pairs that have elements.
std::unique_ptr<PairWork> plan_work(const TensorPair& pair, std::size_t number, const Tap& tap);

// As Drift::merge, also for parts that do not lie behind each other: of equals the first element is the
// worst.
void merge_parts(Drift& drift, const Drift& part);

Drift empty_drift(const TensorPair& pair);

}  // namespace ferry::numeric
