// Checksums of everything that a comparison reads: taken from the blocks that pass by where that is all of a
// storage, otherwise by reading it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "src/core/checkpoint.h"
#include "src/core/executor.h"
#include "validators/numeric/compare.h"

namespace ferry::cli {

// One side of the pairs that are compared: tensor i of the pairs is `tensors[i]` of the checkpoint.
struct ChecksumSide {
  const Checkpoint* checkpoint;
  std::span<const std::uint32_t> tensors;
};

class Checksums {
 public:
  // Of one checkpoint, whose tensors will be read in any order: reads all their storages, at once.
  Checksums(ChecksumSide side, Executor& executor);

  // Reads what no pair covers, at once.  Throws Code::checksum_mismatch.
  Checksums(ChecksumSide before, ChecksumSide after, std::span<const numeric::TensorPair> pairs,
            Executor& executor);

  // To be given every block of compare_tensors; thread-safe in the way of numeric::Tap.
  void take(const numeric::TapBlock& block);

  // After the last block.  Throws Code::checksum_mismatch.
  void check() const;

 private:
  struct Watch {
    std::uint32_t storage;
    std::vector<std::uint32_t> crcs;  // by chunk
  };
  struct Watched {
    const Checkpoint* checkpoint = nullptr;
    std::vector<Watch> watches;
    std::vector<std::uint32_t> by_pair;  // index into watches, or kNone
  };
  static constexpr std::uint32_t kNone = 0xffffffff;

  static Watched watch(const ChecksumSide& side, std::span<const numeric::TensorPair> pairs,
                       Executor& executor);
  static void check(const Watched& side);

  Watched before_, after_;
};

}  // namespace ferry::cli
