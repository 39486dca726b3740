#include "validators/loadable/loadable.h"

#include <algorithm>

#include "src/core/text.h"

namespace ferry::loadable {
namespace {

constexpr std::uint64_t kNowhere = ~std::uint64_t{0};

// Objections of the unpickler with their places: it stops at the first.
struct Placed {
  std::uint64_t at;
  Objection objection;
};

Objection object_to_global(const GlobalUse& use) {
  std::string name = modern_name(use.module, use.name);
  std::string what = "Unsupported global: GLOBAL " + name + " was not an allowed global by default";
  return {Obstacle::global, std::move(name), std::move(what)};
}

Objection object_to_instruction(const ForeignInstruction& instruction) {
  return {Obstacle::instruction, std::string(instruction.name),
          "Unsupported operand " + std::to_string(instruction.byte) + " (the pickle instruction " +
              std::string(instruction.name) + ")"};
}

std::vector<Objection> object_to_pickle(const Checkpoint& checkpoint, const PickleFacts& pickle) {
  std::vector<Placed> placed;
  for (const GlobalUse& use : checkpoint.globals.uses())
    if (!weights_only_accepts(use.module, use.name)) placed.push_back({use.at, object_to_global(use)});
  for (const ForeignInstruction& instruction : pickle.foreign)
    placed.push_back({instruction.first.value_or(kNowhere), object_to_instruction(instruction)});
  if (pickle.undecodable_text)
    placed.push_back({*pickle.undecodable_text,
                      {Obstacle::text, "utf-8",
                       "UnicodeDecodeError: 'utf-8' codec can't decode a string of Python 2 "
                       "(encoding=\"latin1\" helps)"}});
  std::stable_sort(placed.begin(), placed.end(),
                   [](const Placed& a, const Placed& b) { return a.at < b.at; });
  std::vector<Objection> objections;
  for (Placed& one : placed) objections.push_back(std::move(one.objection));
  return objections;
}

// Storages that torch would read from the file, not those that the reader made of numpy arrays and of nested
// checkpoints: torch names its own by numbers.
bool is_own(const Checkpoint& checkpoint, const Storage& storage) {
  return storage.bytes.source == checkpoint.source &&
         storage.key.find_first_not_of("0123456789") == std::string::npos;
}

constexpr std::string_view kScript = "TorchScript archive";

void object_to_container(const Checkpoint& checkpoint, std::vector<Objection>& objections) {
  const Container& container = checkpoint.container;
  const auto object = [&](Obstacle obstacle, std::string_view subject, std::string what) {
    objections.push_back({obstacle, std::string(subject), std::move(what)});
  };
  const auto own = [&](auto&& also) {
    return std::any_of(checkpoint.storages.begin(), checkpoint.storages.end(),
                       [&](const Storage& storage) { return is_own(checkpoint, storage) && also(storage); });
  };
  if (container.format == kScript)
    return object(Obstacle::container, container.format,
                  container.storage_folder == "data"
                      ? "Cannot use ``weights_only=True`` with TorchScript archives passed to ``torch.load``"
                      : "PytorchStreamReader failed locating file data.pkl: file not found");
  if (container.format == "legacy tar")
    object(Obstacle::container, container.format,
           "Cannot use weights_only=True with files saved in the legacy .tar format (PyTorch ≤ 0.1.9)");
  else if (container.format != "torch zip" && container.format != "legacy stream")
    object(Obstacle::container, container.format,
           "torch.load reads what torch.save wrote; the format is " + container.format);
  if (container.format == "torch zip") {
    if (container.root_folder.empty())
      object(Obstacle::container, "root folder",
             "the records of the archive are in no folder, and torch wants one");
    if (!container.version)
      object(Obstacle::container, "version",
             "the archive has no version record, without which torch opens none");
    if (container.storage_folder == "tensors" && own([](const Storage&) { return true; }))
      object(Obstacle::container, "tensors/",
             "storages lie under tensors/ (PyTorch 1.4), torch looks for them under data/");
  }
  if (container.format == "legacy stream" && own([](const Storage& storage) { return storage.untyped; }))
    object(Obstacle::storage, "UntypedStorage",
           "type object 'torch.storage.UntypedStorage' has no attribute 'dtype': torch writes untyped "
           "storages into a "
           "legacy stream, but does not read them");
}

void judge_mapping(const Checkpoint& checkpoint, Loadability& verdict) {
  if (checkpoint.container.format != "torch zip") {
    verdict.maps = false;
    verdict.maps_because =
        "only zip archives of torch.save can be mapped; the format is " + checkpoint.container.format;
    return;
  }
  std::size_t deflated = 0;
  for (const Storage& storage : checkpoint.storages)
    deflated += static_cast<std::size_t>(storage.bytes.compression == Compression::deflated);
  if (deflated == 0) return;
  verdict.maps = false;
  verdict.maps_because = grouped(deflated) + " storages are compressed";
  verdict.cautions.push_back(
      "mmap=True does not notice that storages are compressed: it would take the compressed bytes for "
      "numbers");
}

void list_devices(const Checkpoint& checkpoint, Loadability& verdict) {
  std::vector<bool> used(checkpoint.devices.size());
  for (const Storage& storage : checkpoint.storages)
    if (storage.device < used.size()) used[storage.device] = true;
  std::string tags;
  for (std::size_t i = 0; i < used.size(); ++i)
    if (used[i] && checkpoint.devices[i] != "cpu") tags += (tags.empty() ? "" : ", ") + checkpoint.devices[i];
  if (!tags.empty())
    verdict.cautions.push_back("storages are tagged " + tags +
                               ": where there is no such device, torch.load needs map_location=\"cpu\"");
}

}  // namespace

std::string_view obstacle_name(Obstacle obstacle) {
  switch (obstacle) {
    case Obstacle::global:
      return "global";
    case Obstacle::instruction:
      return "instruction";
    case Obstacle::text:
      return "text";
    case Obstacle::container:
      return "container";
    case Obstacle::storage:
      return "storage";
  }
  return "";
}

Loadability judge_loadable(const Checkpoint& checkpoint, const PickleFacts& pickle) {
  Loadability verdict;
  // torch looks for TorchScript before it looks into the pickle.
  if (checkpoint.container.format != kScript) verdict.objections = object_to_pickle(checkpoint, pickle);
  object_to_container(checkpoint, verdict.objections);
  verdict.loads = verdict.objections.empty();
  judge_mapping(checkpoint, verdict);
  list_devices(checkpoint, verdict);
  if (checkpoint.container.byte_order == "big")
    verdict.cautions.emplace_back("the data are big-endian: PyTorch before 2.1 does not turn them round");
  return verdict;
}

}  // namespace ferry::loadable
