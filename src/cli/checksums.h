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
  Checksums(ChecksumSide before, ChecksumSide after, const numeric::TensorPairs& pairs, Executor& executor);

  // To be given every block of compare_tensors; thread-safe in the way of numeric::Tap.
  void take(const numeric::TapBlock& block);

  // After the last block.  Throws Code::checksum_mismatch.
  void check() const;

 private:
  static constexpr std::uint32_t kNone = 0xffffffff;
  struct Watch {
    std::uint32_t storage;
    std::uint32_t first_chunk;  // in crcs
  };
  struct Watched {
    const Checkpoint* checkpoint = nullptr;
    std::vector<Watch> watches;
    std::vector<std::uint32_t> crcs;     // of every chunk of every watched storage
    std::vector<std::uint32_t> by_pair;  // its first chunk in crcs, or kNone

    // Null where nothing is watched.
    std::uint32_t* crc_of(const numeric::TapBlock& block) {
      const std::uint32_t first = by_pair[block.pair];
      return first == kNone ? nullptr : &crcs[first + block.chunk];
    }
  };

  static Watched watch(const ChecksumSide& side, const numeric::TensorPairs& pairs, Executor& executor);
  static void check(const Watched& side);

  Watched before_, after_;
};

}  // namespace ferry::cli
