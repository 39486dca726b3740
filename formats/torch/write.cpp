#include "formats/torch/write.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>

#include "formats/torch/source_tap.h"
#include "formats/torch/storage_stream.h"
#include "formats/torch/tasks.h"
#include "formats/torch/write_records.h"
#include "formats/zip/crc32.h"
#include "formats/zip/encode.h"

namespace ferry::torch {
namespace {

constexpr std::uint64_t kStreamBlock = 1 << 20;

// A large record that several tasks share: who finishes last writes what stands around it.
struct Sliced {
  std::vector<std::uint32_t> crcs;
  std::atomic<std::size_t> left{0};
};

class ZipWriter {
 public:
  ZipWriter(const Checkpoint& checkpoint, const ZipPlan& plan, FileSink& sink, SourceHash& hash,
            const ProgressFunction& progress)
      : checkpoint_(checkpoint),
        plan_(plan),
        sink_(sink),
        tap_(*checkpoint.source, hash),
        progress_(progress) {
    result_.crcs.resize(plan.records.size());
    tasks_ = plan_tasks(
        plan,
        [&](const PlannedRecord& record) {
          return record.storage == kNoStorage || is_plain(checkpoint_.storages[record.storage]);
        },
        plan.records.size() - 2);
    sliced_ = std::make_unique<Sliced[]>(plan.records.size());
    for (const Task& task : tasks_) {
      if (task.kind != Task::Kind::slice) continue;
      sliced_[task.first].crcs.push_back(0);
      ++sliced_[task.first].left;
    }
  }

  WriteResult run(Executor& executor) {
    executor.run(tasks_.size(), [&](std::size_t i) { do_task(i); });
    result_.source_hash = tap_.finish();
    write_late_records();
    write_directory();
    return std::move(result_);
  }

 private:
  const Storage* storage_of(const PlannedRecord& record) const {
    return record.storage == kNoStorage ? nullptr : &checkpoint_.storages[record.storage];
  }
  bool from_main_source(const Storage& storage) const { return storage.bytes.source == checkpoint_.source; }

  zip::Entry entry(std::size_t i) const {
    const PlannedRecord& record = plan_.records[i];
    return {record.name, record.size, result_.crcs[i], record.header_offset};
  }

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
    const std::uint64_t begin = plan_.records[task.first].header_offset;
    Buffer out(static_cast<std::size_t>(plan_.records[task.last - 1].end_offset - begin));
    std::vector<SourceTap::Piece> pieces;
    const Buffer read = read_span(task, pieces);
    turn.take(pieces);
    for (std::size_t i = task.first; i < task.last; ++i) {
      const PlannedRecord& record = plan_.records[i];
      const auto part = [&](std::uint64_t from, std::uint64_t to) {
        return out.span().subspan(static_cast<std::size_t>(from - begin),
                                  static_cast<std::size_t>(to - from));
      };
      const std::uint64_t data_end = record.data_offset + record.size;
      zip::put_local_header(entry(i), part(record.header_offset, record.data_offset));
      result_.crcs[i] = fill_small(record, part(record.data_offset, data_end), pieces);
      zip::put_descriptor(entry(i), part(data_end, record.end_offset));
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
    checkpoint_.source->read_at(low, buffer.span());
    pieces.push_back({low, buffer.span()});
    return buffer;
  }

  std::uint32_t fill_small(const PlannedRecord& record, std::span<std::byte> out,
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
    const PlannedRecord& record = plan_.records[task.first];
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
    const PlannedRecord& record = plan_.records[i];
    std::uint32_t crc = 0;
    for (std::size_t k = 0; k < sliced_[i].crcs.size(); ++k)
      crc = zip::crc32_combine(crc, sliced_[i].crcs[k], std::min(kTaskBytes, record.size - k * kTaskBytes));
    if (const Storage* storage = storage_of(record)) check_storage_crc(*storage, crc);
    write_around(i, crc);
  }

  // The header and the descriptor of a record whose data is written by itself.
  void write_around(std::size_t i, std::uint32_t crc) {
    result_.crcs[i] = crc;
    const PlannedRecord& record = plan_.records[i];
    sink_.write_at(record.header_offset, zip::local_header(entry(i)));
    sink_.write_at(record.data_offset + record.size, zip::data_descriptor(entry(i)));
  }

  // --- a large storage that is inflated, turned round or compacted on the way

  void write_stream(const Task& task, Turn& turn) {
    turn.take({});  // its bytes come one block at a time: the tap reads them by itself later
    const PlannedRecord& record = plan_.records[task.first];
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

  // --- the end of the file

  // The identity and the provenance are known only when all else is.
  void write_late_records() {
    const std::size_t count = plan_.records.size();
    write_late(count - 2, identity());
    write_late(count - 1, provenance_text(plan_.provenance, checkpoint_.source->size(), result_.source_hash));
  }

  // 40 digits from the names, sizes and CRCs of all records before: equal content, equal identity.
  std::string identity() const {
    std::uint64_t state[2] = {0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f};
    const auto mix = [&](std::uint64_t value) {
      for (std::uint64_t& word : state) {
        word = (word ^ value) * 0xff51afd7ed558ccd;
        word ^= word >> 32;
        value = value * 0xc4ceb9fe1a85ec53 + 1;
      }
    };
    for (std::size_t i = 0; i + 2 < plan_.records.size(); ++i) {
      for (const char c : plan_.records[i].name) mix(static_cast<unsigned char>(c));
      mix(plan_.records[i].size);
      mix(result_.crcs[i]);
    }
    std::string digits;
    for (const std::uint64_t word : state) {
      const std::string part = std::to_string(word);
      digits += std::string(kIdentityDigits / 2 - part.size(), '0') + part;
    }
    return digits;
  }

  void write_late(std::size_t i, const std::string& text) {
    const Bytes bytes = as_bytes(text);
    result_.crcs[i] = zip::crc32(0, bytes);
    std::vector<std::byte> out = zip::local_header(entry(i));
    const std::vector<std::byte> behind = zip::data_descriptor(entry(i));
    out.insert(out.end(), bytes.begin(), bytes.end());
    out.insert(out.end(), behind.begin(), behind.end());
    sink_.write_at(plan_.records[i].header_offset, out);
  }

  void write_directory() {
    std::vector<zip::Entry> entries;
    entries.reserve(plan_.records.size());
    for (std::size_t i = 0; i < plan_.records.size(); ++i) entries.push_back(entry(i));
    sink_.write_at(plan_.directory_offset, zip::directory(entries, plan_.directory_offset));
  }

  const Checkpoint& checkpoint_;
  const ZipPlan& plan_;
  FileSink& sink_;
  SourceTap tap_;
  const ProgressFunction& progress_;
  std::vector<Task> tasks_;
  std::unique_ptr<Sliced[]> sliced_;
  WriteResult result_;
};

}  // namespace

WriteResult write_zip(const Checkpoint& checkpoint, const ZipPlan& plan, FileSink& sink, Executor& executor,
                      SourceHash& hash, const ProgressFunction& progress) {
  return ZipWriter(checkpoint, plan, sink, hash, progress).run(executor);
}

}  // namespace ferry::torch
