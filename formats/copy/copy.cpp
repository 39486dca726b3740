#include "formats/copy/copy.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>

#include "formats/copy/source_tap.h"
#include "formats/copy/storage_stream.h"
#include "formats/copy/tasks.h"
#include "formats/zip/crc32.h"

namespace ferry::copy {
namespace {

constexpr std::uint64_t kStreamBlock = 1 << 20;

// A large record that several tasks share: who finishes last writes what stands around it.
struct Sliced {
  std::vector<std::uint32_t> crcs;
  std::atomic<std::size_t> left{0};
};

class Copier {
 public:
  Copier(std::span<const Storage> storages, const File& file, FileSink& sink, SourceTap& tap,
         const ProgressFunction& progress)
      : storages_(storages), file_(file), plan_(file.plan()), sink_(sink), tap_(tap), progress_(progress) {
    crcs_.resize(plan_.records.size());
    tasks_ = plan_tasks(
        plan_,
        [&](const Record& record) {
          return record.storage == kNoStorage || is_plain(storages_[record.storage]);
        },
        file.copied_count());
    sliced_ = std::make_unique<Sliced[]>(plan_.records.size());
    for (const Task& task : tasks_) {
      if (task.kind != Task::Kind::slice) continue;
      sliced_[task.first].crcs.push_back(0);
      ++sliced_[task.first].left;
    }
  }

  std::vector<std::uint32_t> run(Executor& executor) {
    tap_.begin_tasks();
    executor.run(tasks_.size(), [&](std::size_t i) { do_task(i); });
    return std::move(crcs_);
  }

 private:
  const Storage* storage_of(const Record& record) const {
    return record.storage == kNoStorage ? nullptr : &storages_[record.storage];
  }
  bool from_main_source(const Storage& storage) const { return storage.bytes.source.get() == &tap_.source(); }

  void do_task(std::size_t i) {
    const Task& task = tasks_[i];
    Turn turn(tap_, i);
    switch (task.kind) {
      case Task::Kind::batch:
        write_batch(task, turn);
        break;
      case Task::Kind::slice:
        write_slice(task, turn);
        break;
      case Task::Kind::stream:
        write_stream(task, turn);
        break;
    }
    if (progress_) progress_(task.size);
  }

  // --- many small records: assembled in one buffer, written at once

  void write_batch(const Task& task, Turn& turn) {
    const std::uint64_t begin = plan_.records[task.first].begin;
    Buffer out(static_cast<std::size_t>(plan_.records[task.last - 1].end - begin));
    std::vector<SourceTap::Piece> pieces;
    const Buffer read = read_span(task, pieces);
    turn.take(pieces);
    for (std::size_t i = task.first; i < task.last; ++i) {
      const Record& record = plan_.records[i];
      const auto part = [&](std::uint64_t from, std::uint64_t to) {
        return out.span().subspan(static_cast<std::size_t>(from - begin),
                                  static_cast<std::size_t>(to - from));
      };
      const std::uint64_t data_end = record.data_offset + record.size;
      crcs_[i] = fill_small(record, part(record.data_offset, data_end), pieces);
      file_.put_before(i, crcs_[i], part(record.begin, record.data_offset));
      file_.put_after(i, crcs_[i], part(data_end, record.end));
    }
    sink_.write_at(begin, out.span());
  }

  // One read for all plain storages of the batch, when they lie together in the source.
  Buffer read_span(const Task& task, std::vector<SourceTap::Piece>& pieces) const {
    std::uint64_t low = UINT64_MAX, high = 0, needed = 0;
    for (std::size_t i = task.first; i < task.last; ++i) {
      const Storage* storage = storage_of(plan_.records[i]);
      if (storage == nullptr || !is_plain(*storage) || !from_main_source(*storage) ||
          storage->bytes.size == 0)
        continue;
      low = std::min(low, storage->bytes.offset);
      high = std::max(high, storage->bytes.offset + storage->bytes.size);
      needed += storage->bytes.size;
    }
    // Headers and padding between the storages are read along; storages far apart are read one by one.
    if (needed == 0 || high - low > 4 * needed + (64 << 10) || high - low > 4 * kTaskBytes) return Buffer(0);
    Buffer buffer(static_cast<std::size_t>(high - low));
    tap_.source().read_at(low, buffer.span());
    pieces.push_back({low, buffer.span()});
    return buffer;
  }

  std::uint32_t fill_small(const Record& record, std::span<std::byte> out,
                           std::span<const SourceTap::Piece> pieces) const {
    const Storage* storage = storage_of(record);
    if (storage == nullptr) {
      if (!out.empty()) std::memcpy(out.data(), record.made.data(), out.size());
      return zip::crc32(0, out);
    }
    if (!is_plain(*storage)) return fill_from_stream(*storage, out);
    const bool read = !pieces.empty() && from_main_source(*storage);
    if (read && !out.empty())
      std::memcpy(out.data(), pieces[0].bytes.data() + (storage->bytes.offset - pieces[0].offset),
                  out.size());
    else
      storage->bytes.source->read_at(storage->bytes.offset, out);
    const std::uint32_t crc = zip::crc32(0, out);
    check_storage_crc(*storage, crc);
    return crc;
  }

  std::uint32_t fill_from_stream(const Storage& storage, std::span<std::byte> out) const {
    std::size_t filled = 0;
    std::uint32_t crc = 0;
    each_kept_block(storage, [&](Bytes block) {
      if (!block.empty()) std::memcpy(out.data() + filled, block.data(), block.size());
      filled += block.size();
      crc = zip::crc32(crc, block);
    });
    return crc;
  }

  // --- a slice of a large record

  void write_slice(const Task& task, Turn& turn) {
    const Record& record = plan_.records[task.first];
    const Storage* storage = storage_of(record);
    Sliced& sliced = sliced_[task.first];
    if (storage == nullptr) {
      turn.take({});
      const Bytes made =
          Bytes(record.made)
              .subspan(static_cast<std::size_t>(task.offset), static_cast<std::size_t>(task.size));
      sliced.crcs[task.slice] = zip::crc32(0, made);
      sink_.write_at(record.data_offset + task.offset, made);
    } else {
      Buffer buffer(static_cast<std::size_t>(task.size));
      storage->bytes.source->read_at(storage->bytes.offset + task.offset, buffer.span());
      if (from_main_source(*storage)) {
        const SourceTap::Piece piece{storage->bytes.offset + task.offset, buffer.span()};
        turn.take({&piece, 1});
      }
      sliced.crcs[task.slice] = zip::crc32(0, buffer.span());
      sink_.write_at(record.data_offset + task.offset, buffer.span());
    }
    if (sliced.left.fetch_sub(1) == 1) finish_sliced(task.first);
  }

  void finish_sliced(std::size_t i) {
    const Record& record = plan_.records[i];
    std::uint32_t crc = 0;
    for (std::size_t k = 0; k < sliced_[i].crcs.size(); ++k)
      crc = zip::crc32_combine(crc, sliced_[i].crcs[k], std::min(kTaskBytes, record.size - k * kTaskBytes));
    if (const Storage* storage = storage_of(record)) check_storage_crc(*storage, crc);
    write_around(i, crc);
  }

  // The header and the descriptor of a record whose data is written by itself.
  void write_around(std::size_t i, std::uint32_t crc) {
    crcs_[i] = crc;
    const Record& record = plan_.records[i];
    const std::uint64_t data_end = record.data_offset + record.size;
    std::vector<std::byte> around(
        static_cast<std::size_t>(std::max(record.data_offset - record.begin, record.end - data_end)));
    const auto before = std::span(around).first(static_cast<std::size_t>(record.data_offset - record.begin));
    file_.put_before(i, crc, before);
    if (!before.empty()) sink_.write_at(record.begin, before);
    const auto after = std::span(around).first(static_cast<std::size_t>(record.end - data_end));
    file_.put_after(i, crc, after);
    if (!after.empty()) sink_.write_at(data_end, after);
  }

  // --- a large storage that is inflated, turned round or compacted on the way

  void write_stream(const Task& task, Turn& turn) {
    turn.take({});  // its bytes come one block at a time: the tap reads them by itself later
    const Record& record = plan_.records[task.first];
    std::uint64_t at = record.data_offset;
    std::uint32_t crc = 0;
    each_kept_block(*storage_of(record), [&](Bytes block) {
      crc = zip::crc32(crc, block);
      sink_.write_at(at, block);
      at += block.size();
    });
    write_around(task.first, crc);
  }

  // Reads all of a storage, so that its CRC is checked, and gives the bytes that are kept, in order.
  template <typename Function>
  static void each_kept_block(const Storage& storage, Function&& function) {
    const ByteRange whole{0, storage.bytes.size};
    const std::span<const ByteRange> parts =
        storage.parts.empty() ? std::span(&whole, 1) : std::span(storage.parts);
    StorageStream stream(storage);
    Buffer buffer(static_cast<std::size_t>(std::min(kStreamBlock, storage.bytes.size)));
    std::size_t part = 0;
    for (std::uint64_t begin = 0; begin < storage.bytes.size; begin += buffer.span().size()) {
      const auto block = buffer.span().first(static_cast<std::size_t>(
          std::min<std::uint64_t>(buffer.span().size(), storage.bytes.size - begin)));
      const std::uint64_t end = begin + block.size();
      stream.read(block);
      for (; part < parts.size() && parts[part].offset < end; ++part) {
        const std::uint64_t low = std::max(begin, parts[part].offset),
                            high = std::min(end, parts[part].end());
        if (low < high)
          function(Bytes(block).subspan(static_cast<std::size_t>(low - begin),
                                        static_cast<std::size_t>(high - low)));
        if (parts[part].end() > end) break;
      }
    }
  }

  const std::span<const Storage> storages_;
  const File& file_;
  const Plan& plan_;
  FileSink& sink_;
  SourceTap& tap_;
  const ProgressFunction& progress_;
  std::vector<Task> tasks_;
  std::unique_ptr<Sliced[]> sliced_;
  std::vector<std::uint32_t> crcs_;
};

}  // namespace

void File::put_before(std::size_t, std::uint32_t, std::span<std::byte>) const {}
void File::put_after(std::size_t, std::uint32_t, std::span<std::byte>) const {}
void File::finish(FileSink&, std::vector<std::uint32_t>&, std::string_view) const {}

std::vector<std::uint32_t> copy_records(std::span<const Storage> storages, const File& file, FileSink& sink,
                                        Executor& executor, SourceTap& tap,
                                        const ProgressFunction& progress) {
  return Copier(storages, file, sink, tap, progress).run(executor);
}

}  // namespace ferry::copy
