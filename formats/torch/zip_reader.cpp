#include <algorithm>
#include <charconv>

#include "formats/torch/interpret.h"
#include "formats/torch/program.h"
#include "formats/torch/readers.h"
#include "formats/zip/archive.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::torch {
namespace {

constexpr std::uint64_t kSmallRecordMax = 4096;      // version, byteorder: a few characters
constexpr int kVersionLeast = 1, kVersionMost = 10;  // torch's kMinSupportedFileFormatVersion and kMax…

// Archives that other programs make, by a record that only they have.
void refuse_other_archives(const zip::Archive& archive, const std::string& root) {
  const auto refuse = [](const std::string& what) { throw Error(Code::unsupported_container, what); };
  if (archive.find(root + "constants.pkl") != nullptr)
    refuse("this is a TorchScript archive, which this version does not read");
  for (const zip::Record& record : archive.records()) {
    if (record.name.ends_with("model.json"))
      refuse("this is a torch.export or old TorchScript archive, which this version does not read");
    if (record.name.ends_with(".npy"))
      refuse("this is a numpy .npz archive, which this version does not read");
    if (record.name == "config.json" || record.name.ends_with(".keras")) refuse("this is a Keras archive");
  }
}

// The folder of data.pkl with its slash, or nothing when the archive has no folder.
std::string find_root(const zip::Archive& archive) {
  std::vector<std::string> roots;
  for (const zip::Record& record : archive.records()) {
    const std::string& name = record.name;
    if (name != "data.pkl" && !name.ends_with("/data.pkl")) continue;
    if (archive.find(name) == nullptr) continue;
    const std::string root = name.substr(0, name.size() - 8);
    if (std::count(root.begin(), root.end(), '/') <= 1) roots.push_back(root);
  }
  if (roots.size() == 1) return roots[0];
  if (roots.empty()) {
    refuse_other_archives(archive, "");
    throw Error(Code::missing_record, "the archive has no data.pkl");
  }
  throw Error(Code::duplicate_record, "the archive has more than one data.pkl");
}

std::string read_small(const zip::Archive& archive, const zip::Record& record) {
  const auto bytes = archive.read(record, kSmallRecordMax);
  return std::string(as_text(Bytes(bytes)));
}

void read_version(Checkpoint& checkpoint, const zip::Archive& archive, const std::string& root) {
  const zip::Record* record = archive.find(root + "version");
  if (record == nullptr) record = archive.find(root + ".data/version");
  if (record == nullptr) throw Error(Code::bad_version, "the archive has no version record");
  std::string text = read_small(archive, *record);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  int version = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), version);
  if (end.ec != std::errc() || end.ptr != text.data() + text.size() || version < kVersionLeast ||
      version > kVersionMost)
    throw Error(Code::bad_version, "version " + quote(text, 40) + " is unknown")
        .in("in record " + quote(record->name));
  checkpoint.container.version = text;
}

// True for big-endian data.
bool read_byte_order(Checkpoint& checkpoint, const zip::Archive& archive, const std::string& root) {
  const zip::Record* record = archive.find(root + "byteorder");
  if (record == nullptr) return false;
  const std::string text = read_small(archive, *record);
  checkpoint.container.byte_order = text;
  if (text == "little") return false;
  if (text == "big") return true;
  throw Error(Code::bad_byte_order, "the byte order is " + quote(text, 40))
      .in("in record " + quote(record->name));
}

void describe_container(Checkpoint& checkpoint, const zip::Archive& archive, const std::string& root) {
  Container& container = checkpoint.container;
  container.format = "torch zip";
  container.storage_folder = "data";
  container.checksums = true;
  container.root_folder = root.empty() ? "" : root.substr(0, root.size() - 1);
  container.format_version = archive.find(root + ".format_version") != nullptr;
  container.storage_alignment = archive.find(root + ".storage_alignment") != nullptr;
  container.serialization_id = archive.find(root + ".data/serialization_id") != nullptr;
}

// The archive is given up before the tensors are made: of 100,000 records the memory is worth having.
void keep_records(Checkpoint& checkpoint, zip::Archive archive) {
  checkpoint.container.records.reserve(archive.records().size());
  for (zip::Record& record : std::move(archive).take_records())
    checkpoint.container.records.push_back(
        {std::move(record.name), record.data_offset, record.size, record.stored_size, record.crc});
}

void place_storage(Checkpoint& checkpoint, Storage& storage, const zip::Archive& archive,
                   const std::string& root, bool big_endian) {
  std::string name = root;
  name.append("data/").append(storage.key);
  const zip::Record* record = archive.find(name);
  if (record == nullptr && (record = archive.find(root + "tensors/" + storage.key)) != nullptr)
    checkpoint.container.storage_folder = "tensors";
  if (record == nullptr) {
    if (storage.bytes.size > 0)
      throw Error(Code::missing_record, "storage " + quote(storage.key) + " has no record " + quote(name));
    storage.bytes.source = std::make_shared<MemorySource>("empty storage", std::vector<std::byte>());
    return;
  }
  if (record->size != storage.bytes.size)
    throw Error(Code::bad_record_size, "storage " + quote(storage.key) + " of " +
                                           std::to_string(storage.numel) + " elements needs " +
                                           std::to_string(storage.bytes.size) + " bytes, its record has " +
                                           std::to_string(record->size))
        .at(record->header_offset)
        .in("in record " + quote(record->name));
  storage.bytes.source = archive.source();
  storage.bytes.offset = record->data_offset;
  storage.bytes.stored_size = record->stored_size;
  storage.bytes.compression = record->method == 0 ? Compression::stored : Compression::deflated;
  storage.bytes.big_endian = big_endian && info(storage.dtype).swap_unit > 1;
  if (record->crc_computed) storage.bytes.crc = record->crc;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.size() < 10 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// What the storages that have records say of the container; true when one of them has no CRC.
bool describe_storages(Checkpoint& checkpoint) {
  bool unsummed = false;
  checkpoint.container.numbered_keys = true;
  for (const Storage& storage : checkpoint.storages) {
    if (storage.bytes.source != checkpoint.source) continue;
    unsummed = unsummed || !storage.bytes.crc;
    checkpoint.container.numbered_keys = checkpoint.container.numbered_keys && is_number(storage.key);
  }
  return unsummed;
}

}  // namespace

Checkpoint open_zip(SourcePtr source, const Limits& limits) {
  Checkpoint checkpoint;
  checkpoint.source = source;
  zip::Archive archive = zip::Archive::open(source, limits);
  const std::string root = find_root(archive);
  refuse_other_archives(archive, root);
  read_version(checkpoint, archive, root);
  const bool big_endian = read_byte_order(checkpoint, archive, root);
  describe_container(checkpoint, archive, root);

  const zip::Record& record = *archive.find(root + "data.pkl");
  const std::uint64_t size_max = record.method == 0 ? limits.pickle_bytes_max : limits.inflated_pickle_max;
  auto program = std::make_shared<const std::vector<std::byte>>(archive.read(record, size_max));
  const python::Origin origin{record.method == 0 ? source : nullptr, record.data_offset, *program};
  const std::string program_name = record.name;
  const std::size_t program_size = program->size();
  StorageTable table(checkpoint, StorageTable::Layout::zip);
  bool unsummed = false;
  try {
    describe_program(checkpoint, decode_program(std::move(program), 0, checkpoint.globals));
    table.resolve();
    for (Storage& storage : checkpoint.storages)
      place_storage(checkpoint, storage, archive, root, big_endian);
    unsummed = describe_storages(checkpoint);
    keep_records(checkpoint, std::move(archive));
    interpret(checkpoint, table, limits, origin);
  } catch (Error& error) {
    error.in("in record " + quote(program_name));
    throw;
  }
  if (checkpoint.container.pickle_size != program_size)
    checkpoint.note(checkpoint.values.root(), Code::trailing_bytes,
                    std::to_string(program_size - checkpoint.container.pickle_size) +
                        " bytes follow the end of the pickle in " + quote(program_name) +
                        "; nothing refers to them");
  if (unsummed)
    checkpoint.note(checkpoint.values.root(), Code::crc_not_computed,
                    "records of the archive have no CRC-32");
  return checkpoint;
}

}  // namespace ferry::torch
