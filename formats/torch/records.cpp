#include "formats/torch/records.h"

#include <algorithm>
#include <charconv>

#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::torch {
namespace {

constexpr std::uint64_t kSmallRecordMax = 4096;      // version, byteorder: a few characters
constexpr int kVersionLeast = 1, kVersionMost = 10;  // torch's kMinSupportedFileFormatVersion and kMax…

[[noreturn]] void throw_missing(const zip::Archive& archive, std::string_view main) {
  constexpr std::size_t kNamedMost = 3;
  std::vector<std::string> names;
  for (const zip::Record& record : archive.records()) names.push_back(record.name);
  throw Error(Code::missing_record, "the archive has no " + std::string(main) +
                                        ", so torch.save did not write it" +
                                        (names.empty() ? "" : ": it holds " + listed(names, kNamedMost)))
      .with_hint("where checkpoints lie in it, unzip it first");
}

// The folder of the record with its slash, or nothing when the archive has no folder.
std::string find_root(const zip::Archive& archive, std::string_view main) {
  std::vector<std::string> roots;
  const std::string in_folder = "/" + std::string(main);
  for (const zip::Record& record : archive.records()) {
    const std::string& name = record.name;
    if (name != main && !name.ends_with(in_folder)) continue;
    if (archive.find(name) == nullptr) continue;
    const std::string root = name.substr(0, name.size() - main.size());
    if (std::count(root.begin(), root.end(), '/') <= 1) roots.push_back(root);
  }
  if (roots.empty()) throw_missing(archive, main);
  if (roots.size() > 1)
    throw Error(Code::duplicate_record, "the archive has more than one " + std::string(main));
  return roots[0];
}

std::string read_small(const zip::Archive& archive, const zip::Record& record) {
  const auto bytes = archive.read(record, kSmallRecordMax);
  return std::string(as_text(Bytes(bytes)));
}

std::string read_version(const zip::Archive& archive, const zip::Record& record) {
  std::string text = read_small(archive, record);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  int version = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), version);
  if (end.ec != std::errc() || end.ptr != text.data() + text.size() || version < kVersionLeast ||
      version > kVersionMost)
    throw Error(Code::bad_version, "version " + quote(text, 40) + " is unknown")
        .in(zip::in_record(record.name));
  return text;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.size() < 10 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Records::Records(zip::Archive archive, std::string_view main)
    : archive_(std::move(archive)), root_(find_root(archive_, main)), source_(archive_.source()) {}

const zip::Record* Records::find(std::string_view name) const {
  return archive_.find(root_ + std::string(name));
}

const zip::Record* Records::find_version() const {
  const zip::Record* version = find("version");
  return version != nullptr ? version : find(".data/version");
}

void Records::need_version() const {
  if (find_version() == nullptr) throw Error(Code::bad_version, "the archive has no version record");
}

void Records::read_header(Checkpoint& checkpoint) {
  if (const zip::Record* version = find_version(); version != nullptr)
    checkpoint.container.version = read_version(archive_, *version);
  const zip::Record* order = find("byteorder");
  if (order == nullptr) return;
  const std::string text = read_small(archive_, *order);
  checkpoint.container.byte_order = text;
  big_endian_ = text == "big";
  if (text != "little" && text != "big")
    throw Error(Code::bad_byte_order, "the byte order is " + quote(text, 40)).in(zip::in_record(order->name));
}

void Records::describe(Checkpoint& checkpoint) const {
  Container& container = checkpoint.container;
  container.storage_folder = "data";
  container.checksums = true;
  container.root_folder = root_.empty() ? "" : root_.substr(0, root_.size() - 1);
  container.format_version = find(".format_version") != nullptr;
  container.storage_alignment = find(".storage_alignment") != nullptr;
  container.serialization_id = find(".data/serialization_id") != nullptr;
  container.provenance = provenance();
}

// Empty also where it cannot be read: a checkpoint needs it for nothing.
std::string Records::provenance() const {
  constexpr std::uint64_t kSizeMax = std::uint64_t{1} << 20;
  const zip::Record* const record = find(".data/torchferry.json");
  if (record == nullptr) return {};
  try {
    const std::vector<std::byte> bytes = archive_.read(*record, kSizeMax);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  } catch (const Error&) {
    return {};
  }
}

std::vector<std::byte> Records::read_program(const zip::Record& record, const Limits& limits) const {
  return archive_.read(record,
                       record.method == zip::kStored ? limits.pickle_bytes_max : limits.inflated_pickle_max);
}

std::size_t Records::place(Storage& storage, std::span<const std::string_view> folders) const {
  const zip::Record* record = nullptr;
  std::size_t folder = 0;
  for (std::size_t i = 0; record == nullptr && i < folders.size(); ++i) {
    std::string name = root_;
    name.append(folders[i]).append(storage.key);
    record = archive_.find(name);
    if (record != nullptr) folder = i;
  }
  if (record == nullptr) {
    if (storage.bytes.size > 0)
      throw Error(Code::missing_record,
                  "storage " + quote(storage.key) + " has no record " +
                      quote(root_ + std::string(folders.empty() ? "" : folders.front()) + storage.key));
    storage.bytes.source = std::make_shared<MemorySource>("empty storage", std::vector<std::byte>());
    return folder;
  }
  if (record->size != storage.bytes.size)
    throw Error(Code::bad_record_size, "storage " + quote(storage.key) + " of " +
                                           std::to_string(storage.numel) + " elements needs " +
                                           std::to_string(storage.bytes.size) + " bytes, its record has " +
                                           std::to_string(record->size))
        .at(record->header_offset)
        .in(zip::in_record(record->name));
  storage.bytes.source = source_;
  storage.bytes.offset = record->data_offset;
  storage.bytes.stored_size = record->stored_size;
  storage.bytes.compression = record->method == zip::kStored ? Compression::stored : Compression::deflated;
  storage.bytes.big_endian = big_endian_ && info(storage.dtype).swap_unit > 1;
  if (record->crc_computed) storage.bytes.crc = record->crc;
  return folder;
}

void Records::look_back(Checkpoint& checkpoint) const {
  const auto own = [&](const Storage& s) { return s.bytes.source == source_; };
  const auto& storages = checkpoint.storages;
  if (std::any_of(storages.begin(), storages.end(), [&](const Storage& s) { return own(s) && !s.bytes.crc; }))
    checkpoint.note(checkpoint.values.root(), Code::crc_not_computed,
                    "records of the archive have no CRC-32");
  checkpoint.container.numbered_keys = std::all_of(
      storages.begin(), storages.end(), [&](const Storage& s) { return !own(s) || is_number(s.key); });
}

void Records::give_records(Checkpoint& checkpoint, const Limits& limits) {
  std::vector<zip::Record> records = std::move(archive_).take_records();
  if (!limits.list_records) return;
  checkpoint.container.records.reserve(records.size());
  for (zip::Record& record : records)
    checkpoint.container.records.push_back(
        {std::move(record.name), record.data_offset, record.size, record.stored_size, record.crc});
}

}  // namespace ferry::torch
