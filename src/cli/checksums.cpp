#include "src/cli/checksums.h"

#include <algorithm>
#include <unordered_map>

#include "formats/copy/storage_stream.h"
#include "formats/zip/crc32.h"

namespace ferry::cli {
namespace {

using numeric::kChunkBytes;

std::uint64_t chunk_count(std::uint64_t bytes) { return (bytes + kChunkBytes - 1) / kChunkBytes; }

// Deflated storages are checked where they are inflated.
bool is_checked_here(const Storage& storage) {
  return storage.bytes.crc.has_value() && storage.bytes.compression == Compression::stored;
}

bool covers(const Checkpoint& checkpoint, const Tensor& tensor, const Storage& storage) {
  const std::uint64_t size =
      static_cast<std::uint64_t>(numel(checkpoint, tensor)) * info(tensor.dtype).itemsize;
  return tensor.offset == 0 && size == storage.bytes.size && size > 0;
}

std::uint32_t combined(std::span<const std::uint32_t> crcs, std::uint64_t size) {
  std::uint32_t crc = 0;
  for (std::size_t i = 0; i < crcs.size(); ++i) {
    const std::uint64_t piece = std::min(kChunkBytes, size - i * kChunkBytes);
    crc = i == 0 ? crcs[i] : zip::crc32_combine(crc, crcs[i], piece);
  }
  return crc;
}

std::uint32_t crc_of_chunk(const Storage& storage, std::uint64_t chunk) {
  thread_local std::vector<std::byte> block(std::size_t{256} << 10);
  const std::uint64_t end = std::min(storage.bytes.size, (chunk + 1) * kChunkBytes);
  std::uint32_t crc = 0;
  for (std::uint64_t at = chunk * kChunkBytes; at < end;) {
    const std::span piece = std::span(block).first(std::min<std::uint64_t>(block.size(), end - at));
    storage.bytes.source->read_at(storage.bytes.offset + at, piece);
    crc = zip::crc32(crc, piece);
    at += piece.size();
  }
  return crc;
}

// Whole storages, by all threads.
void read_and_check(const Checkpoint& checkpoint, std::span<const std::uint32_t> storages,
                    Executor& executor) {
  struct Task {
    std::size_t storage;
    std::uint64_t chunk;
  };
  std::vector<Task> tasks;
  std::vector<std::vector<std::uint32_t>> crcs(storages.size());
  for (std::size_t i = 0; i < storages.size(); ++i) {
    crcs[i].resize(chunk_count(checkpoint.storages[storages[i]].bytes.size));
    for (std::uint64_t chunk = 0; chunk < crcs[i].size(); ++chunk) tasks.push_back({i, chunk});
  }
  executor.run(tasks.size(), [&](std::size_t i) {
    const Task& task = tasks[i];
    crcs[task.storage][task.chunk] = crc_of_chunk(checkpoint.storages[storages[task.storage]], task.chunk);
  });
  for (std::size_t i = 0; i < storages.size(); ++i) {
    const Storage& storage = checkpoint.storages[storages[i]];
    copy::check_storage_crc(storage, combined(crcs[i], storage.bytes.size));
  }
}

}  // namespace

Checksums::Watched Checksums::watch(const ChecksumSide& side, const numeric::TensorPairs& pairs,
                                    Executor& executor) {
  const Checkpoint& checkpoint = *side.checkpoint;
  Watched watched;
  watched.checkpoint = &checkpoint;
  watched.by_pair.assign(pairs.size(), kNone);
  enum class State : std::uint8_t { unused, used, covered };
  std::vector<State> states(checkpoint.storages.size());
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const Tensor& tensor = checkpoint.tensors[side.tensors[i]];
    const Storage& storage = checkpoint.storages[tensor.storage];
    State& state = states[tensor.storage];
    if (!is_checked_here(storage) || state == State::covered) continue;
    state = State::used;
    if (!numeric::in_order(pairs[i]) || !covers(checkpoint, tensor, storage)) continue;
    state = State::covered;
    watched.by_pair[i] = static_cast<std::uint32_t>(watched.crcs.size());
    watched.watches.push_back({tensor.storage, watched.by_pair[i]});
    watched.crcs.resize(watched.crcs.size() + chunk_count(storage.bytes.size));
  }
  std::vector<std::uint32_t> left;
  for (std::uint32_t i = 0; i < states.size(); ++i)
    if (states[i] == State::used) left.push_back(i);
  read_and_check(checkpoint, left, executor);
  return watched;
}

Checksums::Checksums(ChecksumSide side, Executor& executor) {
  std::vector<bool> met(side.checkpoint->storages.size());
  std::vector<std::uint32_t> storages;
  for (const std::uint32_t tensor : side.tensors) {
    const std::uint32_t storage = side.checkpoint->tensors[tensor].storage;
    if (!met[storage] && is_checked_here(side.checkpoint->storages[storage])) storages.push_back(storage);
    met[storage] = true;
  }
  read_and_check(*side.checkpoint, storages, executor);
}

Checksums::Checksums(ChecksumSide before, ChecksumSide after, const numeric::TensorPairs& pairs,
                     Executor& executor)
    : before_(watch(before, pairs, executor)), after_(watch(after, pairs, executor)) {}

void Checksums::take(const numeric::TapBlock& block) {
  std::uint32_t* const crc = before_.crc_of(block);
  std::uint32_t* const other_crc = after_.crc_of(block);
  // Equal bytes behind equal bytes have one checksum.
  const bool together = crc != nullptr && other_crc != nullptr && block.equal && *crc == *other_crc;
  if (crc != nullptr) *crc = zip::crc32(*crc, block.before);
  if (together)
    *other_crc = *crc;
  else if (other_crc != nullptr)
    *other_crc = zip::crc32(*other_crc, block.after);
}

void Checksums::check(const Watched& side) {
  for (const Watch& watch : side.watches) {
    const Storage& storage = side.checkpoint->storages[watch.storage];
    const auto crcs = std::span(side.crcs).subspan(watch.first_chunk, chunk_count(storage.bytes.size));
    copy::check_storage_crc(storage, combined(crcs, storage.bytes.size));
  }
}

void Checksums::check() const {
  check(before_);
  check(after_);
}

}  // namespace ferry::cli
