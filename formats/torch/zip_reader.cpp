#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "formats/torch/interpret.h"
#include "formats/torch/losses.h"
#include "formats/torch/program.h"
#include "formats/torch/readers.h"
#include "formats/zip/archive.h"
#include "formats/zip/recover.h"
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
    if (record.name == "_stable_baselines3_version" || record.name == "policy.pth")
      refuse("this is a stable-baselines3 archive, which this version does not read");
    if (record.name.ends_with("model.json"))
      refuse("this is a torch.export or old TorchScript archive, which this version does not read");
    if (record.name.ends_with(".npy"))
      refuse("this is a numpy .npz archive, which this version does not read");
    if (record.name == "model.weights.h5")
      throw Error(Code::not_a_checkpoint, "this is a Keras archive (.keras)")
          .with_hint("unzip it: model.weights.h5 inside holds the weights, and is read");
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
    std::string names;
    constexpr std::size_t kNamedMost = 3;
    for (std::size_t i = 0; i < archive.records().size() && i < kNamedMost; ++i)
      names += (i > 0 ? ", " : ": it holds ") + quote(archive.records()[i].name, 60);
    throw Error(Code::missing_record, "the archive has no data.pkl, so torch.save did not write it" + names +
                                          (archive.records().size() > kNamedMost ? ", …" : ""))
        .with_hint("where checkpoints lie in it, unzip it first");
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

// What a salvage knows of the records that are not whole.
class Damages {
 public:
  explicit Damages(const zip::Recovered& found) {
    for (const zip::BrokenRecord& record : found.broken) why_.emplace(record.name, record.why);
  }

  // Why this record cannot be believed; nullptr when it is whole and as it was written.
  const std::string* find(const zip::Archive& archive, const std::string& name) {
    const auto known = why_.find(name);
    if (known != why_.end()) return &known->second;
    const zip::Record* record = archive.find(name);
    if (record == nullptr) return &why_.emplace(name, "it is not in the archive").first->second;
    try {
      archive.check(*record);
      return nullptr;
    } catch (const Error& error) {
      if (error.fault() != Fault::corrupt) throw;
      return &why_.emplace(name, error.summary()).first->second;
    }
  }
  bool has(const std::string& name) const { return why_.contains(name); }

 private:
  std::unordered_map<std::string, std::string> why_;
};

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

// Storages whose records are not as they were written are lost; the others are placed.
void place_whole_storages(Checkpoint& checkpoint, const zip::Archive& archive, const std::string& root,
                          bool big_endian, Damages& damages, Losses& losses) {
  for (std::uint32_t i = 0; i < checkpoint.storages.size(); ++i) {
    Storage& storage = checkpoint.storages[i];
    const std::string old_name = root + "tensors/" + storage.key;
    const bool old_folder = archive.find(old_name) != nullptr || damages.has(old_name);
    const std::string name = old_folder ? old_name : root + "data/" + storage.key;
    const std::string* why = storage.bytes.size == 0 ? nullptr : damages.find(archive, name);
    try {
      if (why != nullptr) throw Error(Code::truncated, *why);
      place_storage(checkpoint, storage, archive, root, big_endian);
    } catch (const Error& error) {
      if (error.fault() != Fault::corrupt) throw;
      losses.add(i, "record " + quote(name) + ": " + error.summary());
    }
  }
  take_bytes_away(checkpoint, losses);
}

std::string tell_damage(const zip::Recovered& found, std::size_t storages, std::size_t lost) {
  if (!found.why && lost == 0) return "";
  std::string story = grouped(storages - lost) + " of " + grouped(storages) + " storages are whole";
  if (!found.has_directory) story += "; the directory of the archive is lost";
  if (!found.broken.empty())
    story += "; the first broken record is " + quote(found.broken[0].name) + " at byte " +
             std::to_string(found.broken[0].offset);
  return story;
}

// Without the pickle nobody knows what the storages are.
[[noreturn]] void throw_no_pickle(const zip::Recovered& found, const std::string& why) {
  constexpr std::size_t kNamedMost = 5;
  std::string names;
  std::size_t storages = 0;
  for (const zip::Record& record : found.records) {
    if (record.name.find("data/") == std::string::npos && record.name.find("tensors/") == std::string::npos)
      continue;
    if (++storages <= kNamedMost) names += (storages > 1 ? ", " : ": ") + quote(record.name, 60);
  }
  throw Error(Code::missing_record, why + "; without it nobody can tell what the storages are, of which " +
                                        grouped(storages) + (storages == 1 ? " is" : " are") +
                                        " in the file" + names + (storages > kNamedMost ? ", …" : ""))
      .with_hint(std::string(info(Code::truncated).hint));
}

std::string find_root_of(const zip::Archive& archive, const zip::Recovered& found, const Losses* losses) {
  if (losses == nullptr) return find_root(archive);
  for (const zip::BrokenRecord& record : found.broken)
    if (record.name == "data.pkl" || record.name.ends_with("/data.pkl"))
      throw_no_pickle(found, "the pickle " + quote(record.name) + " is not whole: " + record.why);
  const bool any = std::any_of(found.records.begin(), found.records.end(),
                               [](const zip::Record& record) { return record.name.ends_with("data.pkl"); });
  if (!any && found.why) throw_no_pickle(found, "the archive has no whole data.pkl");
  return find_root(archive);
}

// PyTorch writes the record of the byte order before the storages, other programs anywhere: where the end of
// an archive is lost, the numbers of theirs cannot be known.
void note_byte_order(Checkpoint& checkpoint, const zip::Recovered& found) {
  if (found.has_directory || checkpoint.container.byte_order) return;
  if (!found.has_descriptors)
    throw Error(Code::bad_byte_order,
                "the end of the archive is lost, and with it the record that may say the byte order");
  checkpoint.note(
      checkpoint.values.root(), Code::lost_value,
      "no record says the byte order, and the end of the archive is lost: taken as little-endian, as "
      "PyTorch before 2.1 wrote it");
}

Checkpoint read_zip(SourcePtr source, const Limits& limits, Losses* losses) {
  Checkpoint checkpoint;
  checkpoint.source = source;
  zip::Recovered found;
  if (losses != nullptr) found = zip::recover(source, limits);
  zip::Archive archive =
      losses == nullptr ? zip::Archive::open(source, limits) : zip::Archive::of(source, found.records);
  Damages damages(found);
  const std::string root = find_root_of(archive, found, losses);
  refuse_other_archives(archive, root);
  // What is missing of a broken archive are its last records; a version that is there must be a known one.
  if (losses == nullptr || archive.find(root + "version") != nullptr) read_version(checkpoint, archive, root);
  if (damages.has(root + "byteorder"))
    throw Error(Code::bad_byte_order, "the record that says the byte order is damaged")
        .in("in record byteorder");
  const bool big_endian = read_byte_order(checkpoint, archive, root);
  describe_container(checkpoint, archive, root);

  const zip::Record& record = *archive.find(root + "data.pkl");
  const std::uint64_t size_max = record.method == 0 ? limits.pickle_bytes_max : limits.inflated_pickle_max;
  auto program = std::make_shared<const std::vector<std::byte>>(archive.read(record, size_max));
  const std::string program_name = record.name;
  const std::size_t program_size = program->size();
  StorageTable table(checkpoint, StorageTable::Layout::zip);
  try {
    describe_program(checkpoint, decode_program(std::move(program), 0, checkpoint.globals));
    table.resolve();
    if (losses != nullptr)
      place_whole_storages(checkpoint, archive, root, big_endian, damages, *losses);
    else
      for (Storage& storage : checkpoint.storages)
        place_storage(checkpoint, storage, archive, root, big_endian);
    if (losses != nullptr)
      losses->story = tell_damage(found, checkpoint.storages.size(), losses->storages.size());
    if (losses != nullptr) note_byte_order(checkpoint, found);
    keep_records(checkpoint, std::move(archive));
    interpret(checkpoint, table, limits);
  } catch (Error& error) {
    error.in("in record " + quote(program_name));
    throw;
  }
  if (checkpoint.container.pickle_size != program_size)
    checkpoint.note(checkpoint.values.root(), Code::trailing_bytes,
                    std::to_string(program_size - checkpoint.container.pickle_size) +
                        " bytes follow the end of the pickle in " + quote(program_name) +
                        "; nothing refers to them");
  const bool unsummed =
      std::any_of(checkpoint.storages.begin(), checkpoint.storages.end(),
                  [&](const Storage& s) { return s.bytes.source == source && !s.bytes.crc; });
  if (unsummed)
    checkpoint.note(checkpoint.values.root(), Code::crc_not_computed,
                    "records of the archive have no CRC-32");
  checkpoint.container.numbered_keys =
      std::all_of(checkpoint.storages.begin(), checkpoint.storages.end(),
                  [&](const Storage& s) { return s.bytes.source != source || is_number(s.key); });
  return checkpoint;
}

}  // namespace

Checkpoint open_zip(SourcePtr source, const Limits& limits) {
  return read_zip(std::move(source), limits, nullptr);
}

Checkpoint salvage_zip(SourcePtr source, const Limits& limits, Losses& losses) {
  return read_zip(std::move(source), limits, &losses);
}

}  // namespace ferry::torch
