#include "formats/copy/source_tap.h"

#include <algorithm>

namespace ferry::copy {
namespace {

constexpr std::uint64_t kGapMost =
    64 << 10;  // a larger gap is left for finish(): its bytes may come from a later task

}  // namespace

void SourceTap::take_turn(std::size_t task, std::span<const Piece> pieces) {
  std::unique_lock lock(mutex_);
  turned_.wait(lock, [&] { return turn_ == task; });
  // The turn passes on whatever happens below.
  struct Pass {
    SourceTap& tap;
    ~Pass() {
      ++tap.turn_;
      tap.turned_.notify_all();
    }
  } pass{*this};
  for (const Piece& piece : pieces) {
    const std::uint64_t end = piece.offset + piece.bytes.size();
    if (end <= next_) continue;
    if (piece.offset > next_ + kGapMost) continue;
    if (piece.offset > next_) hash_up_to(piece.offset);
    hash_.update(piece.bytes.subspan(static_cast<std::size_t>(next_ - piece.offset)));
    next_ = end;
  }
}

void SourceTap::hash_up_to(std::uint64_t end) {
  std::vector<std::byte> block;
  while (next_ < end) {
    block.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kReadBlock, end - next_)));
    source_.read_at(next_, block);
    hash_.update(block);
    next_ += block.size();
  }
}

std::string SourceTap::finish() {
  hash_up_to(source_.size());
  return hash_.hex();
}

Turn::~Turn() {
  if (taken_) return;
  try {
    tap_.take_turn(task_, {});
  } catch (...) {  // NOLINT(bugprone-empty-catch): the task is failing already, and no piece was given
  }
}

}  // namespace ferry::copy
