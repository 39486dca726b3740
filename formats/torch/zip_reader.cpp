#include <algorithm>
#include <functional>
#include <unordered_map>

#include "formats/torch/interpret.h"
#include "formats/torch/losses.h"
#include "formats/torch/program.h"
#include "formats/torch/readers.h"
#include "formats/torch/records.h"
#include "formats/zip/recover.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::torch {
namespace {

// Archives that other programs make, by a record that only they have.
void refuse_other_archives(const zip::Archive& archive) {
  const auto refuse = [](const std::string& what) { throw Error(Code::unsupported_container, what); };
  for (const zip::Record& record : archive.records()) {
    if (record.name.ends_with(".data/extern_modules"))
      refuse("this is a torch.package archive: Python code with pickles that need it");
    if (record.name.ends_with(".npy"))
      refuse("this is a numpy .npz archive, which this version does not read");
    if (record.name == "model.weights.h5")
      throw Error(Code::not_a_checkpoint, "this is a Keras archive (.keras)")
          .with_hint("unzip it: model.weights.h5 inside holds the weights, and is read");
  }
}

Records records_of(zip::Archive archive) {
  refuse_other_archives(archive);
  return Records(std::move(archive), "data.pkl");
}

void place_storage(Checkpoint& checkpoint, Storage& storage, const Records& records) {
  static constexpr std::string_view kFolders[] = {"data/", "tensors/"};  // tensors/: 1.4 only
  if (records.place(storage, kFolders) == 1) checkpoint.container.storage_folder = "tensors";
}

// The part of reading that is the same for whole files and for what is left of broken ones.
Checkpoint read_zip(const SourcePtr& source, Records records, const Limits& limits,
                    const std::function<void(Checkpoint&, const Records&)>& place_storages) {
  Checkpoint checkpoint;
  checkpoint.source = source;
  records.read_header(checkpoint);
  records.describe(checkpoint);
  checkpoint.container.format = "torch zip";

  const zip::Record& record = *records.find("data.pkl");
  auto program = std::make_shared<const std::vector<std::byte>>(records.read_program(record, limits));
  const python::Origin origin{record.method == zip::kStored ? source : nullptr, record.data_offset, *program};
  const std::string program_name = record.name;
  const std::size_t program_size = program->size();
  StorageTable table(checkpoint, StorageTable::Layout::zip);
  try {
    describe_program(checkpoint, decode_program(std::move(program), 0, checkpoint.globals));
    table.resolve();
    place_storages(checkpoint, records);
    records.look_back(checkpoint);  // nested checkpoints bring storages that have no records
    records.give_records(checkpoint, limits);
    interpret(checkpoint, table, limits, origin);
  } catch (Error& error) {
    error.in(zip::in_record(program_name));
    throw;
  }
  note_trailing(checkpoint, program_size, program_name);
  return checkpoint;
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

// Storages whose records are not as they were written are lost; the others are placed.
void place_whole_storages(Checkpoint& checkpoint, const Records& records, Damages& damages, Losses& losses) {
  for (std::uint32_t i = 0; i < checkpoint.storages.size(); ++i) {
    Storage& storage = checkpoint.storages[i];
    const std::string old_name = records.root() + "tensors/" + storage.key;
    const bool old_folder = records.archive().find(old_name) != nullptr || damages.has(old_name);
    const std::string name = old_folder ? old_name : records.root() + "data/" + storage.key;
    const std::string* why = storage.bytes.size == 0 ? nullptr : damages.find(records.archive(), name);
    try {
      if (why != nullptr) throw Error(Code::truncated, *why);
      place_storage(checkpoint, storage, records);
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
  std::vector<std::string> storages;
  for (const zip::Record& record : found.records) {
    if (record.name.find("data/") == std::string::npos && record.name.find("tensors/") == std::string::npos)
      continue;
    storages.push_back(record.name);
  }
  throw Error(Code::missing_record, why + "; without it nobody can tell what the storages are, of which " +
                                        grouped(storages.size()) + (storages.size() == 1 ? " is" : " are") +
                                        " in the file" +
                                        (storages.empty() ? "" : ": " + listed(storages, kNamedMost)))
      .with_hint(std::string(info(Code::truncated).hint));
}

void need_pickle(const zip::Recovered& found) {
  for (const zip::BrokenRecord& record : found.broken)
    if (record.name == "data.pkl" || record.name.ends_with("/data.pkl"))
      throw_no_pickle(found, "the pickle " + quote(record.name) + " is not whole: " + record.why);
  const bool any = std::any_of(found.records.begin(), found.records.end(),
                               [](const zip::Record& record) { return record.name.ends_with("data.pkl"); });
  if (!any && found.why) throw_no_pickle(found, "the archive has no whole data.pkl");
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

}  // namespace

Checkpoint open_zip(SourcePtr source, const Limits& limits) {
  Records records = records_of(zip::Archive::open(source, limits));
  records.need_version();
  return read_zip(source, std::move(records), limits, [](Checkpoint& checkpoint, const Records& from) {
    for (Storage& storage : checkpoint.storages) place_storage(checkpoint, storage, from);
  });
}

Checkpoint salvage_zip(SourcePtr source, const Limits& limits, Losses& losses) {
  const zip::Recovered found = zip::recover(source, limits);
  need_pickle(found);
  Damages damages(found);
  Records records = records_of(zip::Archive::of(source, found.records));
  if (damages.has(records.root() + "byteorder"))
    throw Error(Code::bad_byte_order, "the record that says the byte order is damaged")
        .in("in record byteorder");
  // What is missing of a broken archive are its last records, of which the version is one.
  return read_zip(source, std::move(records), limits, [&](Checkpoint& checkpoint, const Records& from) {
    place_whole_storages(checkpoint, from, damages, losses);
    losses.story = tell_damage(found, checkpoint.storages.size(), losses.storages.size());
    note_byte_order(checkpoint, found);
  });
}

}  // namespace ferry::torch
