// The source's hash, taken from bytes that are read anyway.
//
// Tasks on several threads read pieces of the source; each gives its pieces here in its turn, which is the
// order of the tasks.  Small gaps between pieces (headers, padding) are read by the tap itself.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "formats/copy/copy.h"

namespace ferry::copy {

class SourceTap {
 public:
  SourceTap(const ByteSource& source, SourceHash& hash) : source_(source), hash_(hash) {}

  const ByteSource& source() const { return source_; }

  // A new run of tasks, numbered from 0; what was hashed stays hashed.
  void begin_tasks() { turn_ = 0; }

  struct Piece {
    std::uint64_t offset;
    Bytes bytes;
  };
  // Waits for the turn of `task`, hashes what is new in the pieces, and passes the turn on.  Every task must
  // take its turn exactly once, also with no pieces, and also when it fails: see Turn.
  void take_turn(std::size_t task, std::span<const Piece> pieces);

  // Hashes what no task has given, and returns the hash of the whole source.
  std::string finish();

 private:
  void hash_up_to(std::uint64_t end);

  const ByteSource& source_;
  SourceHash& hash_;
  std::mutex mutex_;
  std::condition_variable turned_;
  std::size_t turn_ = 0;
  std::uint64_t next_ = 0;  // bytes of the source that are hashed
};

// Makes sure that a task takes its turn even when it leaves by an exception: the others would wait for ever.
class Turn {
 public:
  Turn(SourceTap& tap, std::size_t task) : tap_(tap), task_(task) {}
  ~Turn();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  void take(std::span<const SourceTap::Piece> pieces) {
    taken_ = true;
    tap_.take_turn(task_, pieces);
  }

 private:
  SourceTap& tap_;
  std::size_t task_;
  bool taken_ = false;
};

}  // namespace ferry::copy
