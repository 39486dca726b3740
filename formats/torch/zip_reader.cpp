#include "formats/torch/interpret.h"
#include "formats/torch/program.h"
#include "formats/torch/readers.h"
#include "formats/torch/records.h"
#include "src/core/error.h"

namespace ferry::torch {
namespace {

// Archives that other programs make, by a record that only they have.
void refuse_other_archives(const zip::Archive& archive) {
  const auto refuse = [](const std::string& what) { throw Error(Code::unsupported_container, what); };
  for (const zip::Record& record : archive.records()) {
    if (record.name == "_stable_baselines3_version" || record.name == "policy.pth")
      refuse("this is a stable-baselines3 archive, which this version does not read");
    if (record.name.ends_with(".data/extern_modules"))
      refuse("this is a torch.package archive: Python code with pickles that need it");
    if (record.name.ends_with(".npy"))
      refuse("this is a numpy .npz archive, which this version does not read");
    if (record.name == "config.json" || record.name.ends_with(".keras")) refuse("this is a Keras archive");
  }
}

Records open_records(const SourcePtr& source, const Limits& limits) {
  Records records = [&] {
    try {
      return Records(source, limits, "data.pkl");
    } catch (const Error& error) {
      if (error.code() == Code::missing_record) refuse_other_archives(zip::Archive::open(source, limits));
      throw;
    }
  }();
  refuse_other_archives(records.archive());
  return records;
}

void place_storages(Checkpoint& checkpoint, const Records& records) {
  static constexpr std::string_view kFolders[] = {"data/", "tensors/"};  // tensors/: 1.4 only
  for (Storage& storage : checkpoint.storages)
    if (records.place(storage, kFolders) == 1) checkpoint.container.storage_folder = "tensors";
}

}  // namespace

Checkpoint open_zip(SourcePtr source, const Limits& limits) {
  Checkpoint checkpoint;
  checkpoint.source = source;
  Records records = open_records(source, limits);
  records.read_header(checkpoint);
  records.describe(checkpoint);
  checkpoint.container.format = "torch zip";

  const zip::Record& record = *records.find("data.pkl");
  auto program = std::make_shared<const std::vector<std::byte>>(records.read_program(record, limits));
  const std::string program_name = record.name;
  const std::size_t program_size = program->size();
  StorageTable table(checkpoint, StorageTable::Layout::zip);
  try {
    describe_program(checkpoint, decode_program(std::move(program), 0, checkpoint.globals));
    table.resolve();
    place_storages(checkpoint, records);
    records.give_records(checkpoint);
    interpret(checkpoint, table, limits);
  } catch (Error& error) {
    error.in(zip::in_record(program_name));
    throw;
  }
  note_trailing(checkpoint, program_size, program_name);
  records.look_back(checkpoint);
  return checkpoint;
}

}  // namespace ferry::torch
