#include "formats/torch/fingerprint.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <unordered_set>

#include "formats/pickle/scan.h"
#include "formats/zip/inflate.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::torch {
namespace {

// What can be seen in a file.
enum class Trait : std::uint8_t {
  tar_archive,
  legacy_stream,
  tensors_folder,
  data_folder,
  version_2,
  version_3,
  address_keys,
  number_keys,
  archive_root,
  named_root,
  no_byte_order,
  byte_order,
  serialization_id,
  format_version,
  storage_alignment,
  no_storage_alignment,
  python2,
  names,       // a name that the pickle mentions: the row says which
  attributes,  // a text that the pickle holds, also where the object that had it is gone: the row says which
  modules_without,  // whole modules, and none of them has the attribute of the row
  script_1_0,
  script_1_1,
  script_1_2,
  script_1_3,
  script_1_4,
  script_1_5,
  script_late,
  script_texts,
  script_no_texts,
  script_without_hook,
  optimizer_ids,
  optimizer_indices,
  step_integers,
  step_tensors,
  group_maximize,
  group_foreach,
  group_differentiable,
  group_decoupled,
  group_fused_sgd,
  group_capturable_other,
  adam_without_maximize,
  adam_without_foreach,
  adam_without_differentiable,
  adam_without_decoupled,
  scheduler_step_count,
  scheduler_without_step_count,
  scheduler_called_within_step,
  scheduler_not_called_within_step,
  scheduler_verbose,
  scheduler_initial,
  scaler_state,
  count
};
using Traits = std::bitset<static_cast<std::size_t>(Trait::count)>;

// What a trait bounds.
enum class Bound : std::uint8_t {
  certain,  // the release that wrote the file
  values,   // from below the release that wrote the file, from above only where the values came from
  custom,   // the default of the releases; options could change it
};

struct Row {
  Trait trait;
  Releases releases;
  Bound bound;
  std::string_view because;
  std::string_view name = {};  // of Trait::names, attributes, modules_without
};

constexpr Releases since(std::uint8_t major, std::uint8_t minor) { return {{major, minor}, kLastRelease}; }
constexpr Releases until(std::uint8_t major, std::uint8_t minor) { return {kFirstRelease, {major, minor}}; }

// Sources: torch/serialization.py, torch/_utils.py, torch/optim/*.py of the releases, files
// that 1.0 … 1.12, 1.13 and 2.13 wrote, and the pull requests that made the changes.  Where the
// release of a change is not sure, the row takes the wider range.
// clang-format off
constexpr auto kEvidence = std::to_array<Row>({
    // The container.
    {Trait::storage_alignment, since(2, 7), Bound::certain, "it has a .storage_alignment record (2.7 and later)"},
    {Trait::format_version, since(2, 6), Bound::certain, "it has a .format_version record (2.6 and later)"},
    {Trait::tensors_folder, {{1, 4}, {1, 4}}, Bound::certain, "storages lie under tensors/, as only 1.4 put them"},
    {Trait::tar_archive, {kFirstRelease, {0, 1, 9}}, Bound::certain, "it is a tar archive: the form until 0.1.9"},
    {Trait::legacy_stream, until(1, 5), Bound::custom, "it is a legacy stream: the form until 1.5, later only with _use_new_zipfile_serialization=False"},
    {Trait::byte_order, since(2, 1), Bound::certain, "it has a byteorder record (2.1 and later)"},
    {Trait::serialization_id, since(2, 1), Bound::certain, "it has a .data/serialization_id record (2.1 and later)"},
    {Trait::no_storage_alignment, until(2, 6), Bound::certain, "it has no .storage_alignment record (until 2.6)"},
    {Trait::no_byte_order, until(2, 0), Bound::certain, "it has no byteorder record (until 2.0)"},
    {Trait::address_keys, {{1, 4}, {1, 8}}, Bound::certain, "storages are named by their addresses (until 1.8)"},
    {Trait::number_keys, since(1, 9), Bound::certain, "storages are numbered from 0 (1.9 and later)"},
    {Trait::named_root, since(1, 13), Bound::certain, "the folder in the archive is named after the file (1.13 and later)"},
    {Trait::archive_root, until(1, 12), Bound::custom, "the folder in the archive is named 'archive' (until 1.12, later when saved to a stream)"},
    {Trait::version_2, {{1, 5}, {1, 5}}, Bound::certain, "its version is 2, as only 1.5 wrote it, on request"},
    {Trait::version_3, since(1, 6), Bound::certain, "it is a zip archive of version 3 (1.6 and later)"},
    {Trait::data_folder, since(1, 5), Bound::certain, "it is a zip archive with storages under data/ (1.6 and later, 1.5 on request)"},
    {Trait::script_1_0, {{1, 0}, {1, 0}}, Bound::certain, "it is a TorchScript archive with a model.json and no attributes.pkl (1.0)"},
    {Trait::script_1_1, {{1, 1}, {1, 1}}, Bound::certain, "it is a TorchScript archive with a model.json and no debug information (1.1)"},
    {Trait::script_1_2, {{1, 2}, {1, 2}}, Bound::certain, "it is a TorchScript archive with a model.json and debug information (1.2)"},
    {Trait::script_1_3, {{1, 3}, {1, 3}}, Bound::certain, "it is a TorchScript archive whose constants stand before its data (1.3)"},
    {Trait::script_1_4, {{1, 4}, {1, 4}}, Bound::certain, "it is a TorchScript archive that begins with version 1 and ends with its constants (1.4)"},
    {Trait::script_1_5, {{1, 5}, {1, 5}}, Bound::certain, "it is a TorchScript archive that begins with version 2 and ends with its constants (1.5)"},
    {Trait::script_texts, since(1, 12), Bound::certain, "the debug information of its code has a table of texts (1.12 and later)"},
    {Trait::script_late, since(1, 6), Bound::certain, "it is a TorchScript archive with its version behind the constants (1.6 and later)"},
    {Trait::script_without_hook, until(1, 7), Bound::values, "its modules lack '_is_full_backward_hook' (until 1.7)"},
    {Trait::script_no_texts, until(1, 11), Bound::certain, "the debug information of its code has no table of texts (until 1.11)"},
    {Trait::python2, until(1, 4), Bound::certain, "it was pickled by Python 2, which 1.4 was the last to support"},
    // The values: optimizers, schedulers, scalers.
    {Trait::optimizer_ids, until(1, 5), Bound::values, "an optimizer state names parameters by object ids (until 1.5)"},
    {Trait::optimizer_indices, since(1, 6), Bound::values, "an optimizer state numbers its parameters (1.6 and later)"},
    {Trait::step_integers, until(1, 11), Bound::values, "Adam's step is an integer (until 1.11)"},
    {Trait::step_tensors, since(1, 12), Bound::values, "Adam's step is a tensor (1.12 and later)"},
    {Trait::group_maximize, since(1, 11), Bound::values, "optimizer groups have 'maximize' (1.11 and later)"},
    {Trait::group_foreach, since(1, 12), Bound::values, "optimizer groups have 'foreach' (1.12 and later)"},
    {Trait::group_differentiable, since(1, 13), Bound::values, "optimizer groups have 'differentiable' (1.13 and later)"},
    {Trait::group_capturable_other, since(2, 2), Bound::values, "groups of an optimizer other than Adam have 'capturable' (2.2 and later)"},
    {Trait::group_fused_sgd, since(2, 3), Bound::values, "SGD groups have 'fused' (2.3 and later)"},
    {Trait::group_decoupled, since(2, 6), Bound::values, "Adam groups have 'decoupled_weight_decay' (2.6 and later)"},
    {Trait::adam_without_maximize, until(1, 10), Bound::values, "Adam groups lack 'maximize' (until 1.10)"},
    {Trait::adam_without_foreach, until(1, 11), Bound::values, "Adam groups lack 'foreach' (until 1.11)"},
    {Trait::adam_without_differentiable, until(1, 12), Bound::values, "Adam groups lack 'differentiable' (until 1.12)"},
    {Trait::adam_without_decoupled, until(2, 6), Bound::values, "Adam groups lack 'decoupled_weight_decay' (until 2.6)"},
    {Trait::scheduler_step_count, since(1, 2), Bound::values, "a scheduler state has '_step_count' (1.2 and later)"},
    {Trait::scheduler_without_step_count, until(1, 1), Bound::values, "a scheduler state lacks '_step_count' (until 1.1)"},
    {Trait::scheduler_not_called_within_step, until(1, 3), Bound::values, "a scheduler state lacks '_get_lr_called_within_step' (until 1.3)"},
    {Trait::scheduler_called_within_step, since(1, 4), Bound::values, "a scheduler state has '_get_lr_called_within_step' (1.4 and later)"},
    {Trait::scheduler_verbose, since(1, 7), Bound::values, "a scheduler state has 'verbose' (1.7 and later)"},
    {Trait::scheduler_initial, since(2, 6), Bound::values, "a scheduler state has '_is_initial' (2.6 and later)"},
    {Trait::scaler_state, since(1, 5), Bound::values, "it holds the state of a GradScaler (1.5 and later)"},
    // Names.
    {Trait::names, until(0, 3), Bound::values, "tensors are rebuilt by _rebuild_tensor (until 0.3)", "torch._utils._rebuild_tensor"},
    {Trait::names, since(0, 4), Bound::values, "tensors are rebuilt by _rebuild_tensor_v2 (0.4 and later)", "torch._utils._rebuild_tensor_v2"},
    {Trait::names, since(2, 1), Bound::values, "tensors are rebuilt by _rebuild_tensor_v3 (2.1 and later)", "torch._utils._rebuild_tensor_v3"},
    {Trait::names, since(1, 12), Bound::values, "tensors carry attributes by _rebuild_parameter_with_state (1.12 and later)", "torch._utils._rebuild_parameter_with_state"},
    {Trait::names, since(1, 12), Bound::values, "tensors carry attributes by _rebuild_from_type_v2 (1.12 and later)", "torch._tensor._rebuild_from_type_v2"},
    {Trait::names, {{1, 7}, {1, 8}}, Bound::values, "a tensor subclass is rebuilt by torch.tensor._rebuild_from_type (1.7, 1.8)", "torch.tensor._rebuild_from_type"},
    {Trait::names, until(1, 2), Bound::values, "modules refer to the THNN backend (until 1.2)", "torch.nn.backends.thnn._get_thnn_function_backend"},
    {Trait::names, since(2, 0), Bound::values, "it names torch.storage.UntypedStorage (2.0 and later)", "torch.storage.UntypedStorage"},
    {Trait::names, since(1, 5), Bound::values, "it holds complex tensors (1.5 and later)", "torch.ComplexFloatStorage"},
    {Trait::names, since(1, 5), Bound::values, "it holds complex tensors (1.5 and later)", "torch.ComplexDoubleStorage"},
    {Trait::names, since(1, 3), Bound::values, "it holds quantized tensors (1.3 and later)", "torch._utils._rebuild_qtensor"},
    {Trait::names, since(1, 10), Bound::values, "it names torch.torch_version.TorchVersion (1.10 and later)", "torch.torch_version.TorchVersion"},
    {Trait::names, since(2, 2), Bound::values, "it names torch.amp.grad_scaler (2.2 and later)", "torch.amp.grad_scaler.GradScaler"},
    {Trait::names, since(1, 5), Bound::values, "it names torch.cuda.amp.grad_scaler (1.5 and later)", "torch.cuda.amp.grad_scaler.GradScaler"},
    {Trait::names, {{1, 6}, {1, 8}}, Bound::values, "an attention module has a _LinearWithBias (1.6 – 1.8)", "torch.nn.modules.linear._LinearWithBias"},
    {Trait::names, since(1, 9), Bound::values, "an attention module has a NonDynamicallyQuantizableLinear (1.9 and later)", "torch.nn.modules.linear.NonDynamicallyQuantizableLinear"},
    // Attributes of modules and optimizers that were pickled whole; the same in 1.0 … 1.12, 1.13 and 2.13.
    {Trait::attributes, since(2, 0), Bound::values, "modules have '_backward_pre_hooks' (2.0 and later)", "_backward_pre_hooks"},
    {Trait::attributes, since(1, 13), Bound::values, "modules have '_state_dict_pre_hooks' (1.13 and later)", "_state_dict_pre_hooks"},
    {Trait::attributes, since(1, 12), Bound::values, "modules have '_load_state_dict_post_hooks' (1.12 and later)", "_load_state_dict_post_hooks"},
    {Trait::attributes, since(1, 8), Bound::values, "modules have '_is_full_backward_hook' (1.8 and later)", "_is_full_backward_hook"},
    {Trait::attributes, since(1, 6), Bound::values, "modules have '_non_persistent_buffers_set' (1.6 and later)", "_non_persistent_buffers_set"},
    {Trait::attributes, since(1, 5), Bound::values, "convolutions have '_reversed_padding_repeated_twice' (1.5 and later)", "_reversed_padding_repeated_twice"},
    {Trait::attributes, since(1, 4), Bound::values, "recurrent modules have '_flat_weights_names' (1.4 and later)", "_flat_weights_names"},
    {Trait::attributes, since(2, 0), Bound::values, "an optimizer has '_optimizer_step_pre_hooks' (2.0 and later)", "_optimizer_step_pre_hooks"},
    {Trait::attributes, since(1, 12), Bound::values, "an optimizer has '_warned_capturable_if_run_uncaptured' (1.12 and later)", "_warned_capturable_if_run_uncaptured"},
    {Trait::attributes, since(1, 8), Bound::values, "an optimizer has '_zero_grad_profile_name' (1.8 and later)", "_zero_grad_profile_name"},
    {Trait::modules_without, since(1, 3), Bound::values, "modules lack '_backend' (1.3 and later)", "_backend"},
    {Trait::modules_without, until(1, 5), Bound::values, "modules lack '_non_persistent_buffers_set' (until 1.5)", "_non_persistent_buffers_set"},
    {Trait::modules_without, until(1, 7), Bound::values, "modules lack '_is_full_backward_hook' (until 1.7)", "_is_full_backward_hook"},
    {Trait::modules_without, until(1, 11), Bound::values, "modules lack '_load_state_dict_post_hooks' (until 1.11)", "_load_state_dict_post_hooks"},
    {Trait::modules_without, until(1, 12), Bound::values, "modules lack '_state_dict_pre_hooks' (until 1.12)", "_state_dict_pre_hooks"},
    {Trait::modules_without, until(1, 13), Bound::values, "modules lack '_backward_pre_hooks' (until 1.13)", "_backward_pre_hooks"},
});
// clang-format on

// --- looking

std::string_view stem_of(std::string_view file_name) {
  file_name = file_name.substr(file_name.rfind('/') + 1);
  return file_name.substr(0, file_name.rfind('.'));
}

void look_at_archive(const Container& container, const Checkpoint& checkpoint, Traits& seen) {
  const auto put = [&](Trait trait, bool is = true) { seen.set(static_cast<std::size_t>(trait), is); };
  const bool old_folder = container.storage_folder == "tensors";
  put(old_folder ? Trait::tensors_folder : Trait::data_folder);
  put(container.byte_order ? Trait::byte_order : Trait::no_byte_order);
  put(Trait::serialization_id, container.serialization_id);
  put(Trait::version_2, container.version == "2");
  put(Trait::version_3, container.version == "3");
  put(Trait::format_version, container.format_version);
  put(container.storage_alignment ? Trait::storage_alignment : Trait::no_storage_alignment);
  // Arrays of numpy and nested checkpoints may lie in the pickle: they are no records, and no digits name
  // them.
  const bool any =
      std::any_of(checkpoint.storages.begin(), checkpoint.storages.end(), [&](const Storage& storage) {
        return storage.bytes.source == checkpoint.source &&
               storage.key.find_first_not_of("0123456789") == std::string::npos;
      });
  if (any) put(container.numbered_keys ? Trait::number_keys : Trait::address_keys);
  if (old_folder || container.root_folder.empty()) return;  // 1.4 named the folder after the file, too
  put(container.root_folder == "archive" ? Trait::archive_root : Trait::named_root,
      container.root_folder == "archive" || !any || container.numbered_keys);
}

// --- TorchScript

bool is_debug(const RecordInfo& record) { return record.name.ends_with(".debug_pkl"); }

// The first bytes of a record, whatever its compression; nothing when it is broken.
std::string head_of(const Checkpoint& checkpoint, const RecordInfo& info) try {
  std::vector<std::byte> head(static_cast<std::size_t>(std::min<std::uint64_t>(info.size, 64)));
  if (info.stored_size == info.size) {
    checkpoint.source->read_at(info.offset, head);
  } else {
    zip::Record record;
    record.method = zip::kDeflated;
    record.size = info.size;
    record.stored_size = info.stored_size;
    record.data_offset = info.offset;
    zip::InflateStream(*checkpoint.source, record).read(head);
  }
  return std::string(as_text(Bytes(head)));
} catch (const Error&) {
  return "";
}

std::string find_tool(const Checkpoint& checkpoint) {
  const bool script = checkpoint.container.format == "TorchScript archive";
  if (checkpoint.container.format != "torch zip" && !script) return "";
  bool deflated = false;
  for (const RecordInfo& record : checkpoint.container.records) {
    if (record.name.ends_with(".data/torchferry.json")) return "torchferry";
    const bool code = script && (record.name.ends_with(".py") || is_debug(record));
    deflated = deflated || (record.stored_size != record.size && !code);
  }
  return !deflated ? ""
         : script  ? "a zip program (PyTorch compresses code only)"
                   : "a zip program (PyTorch never compresses)";
}

// LibTorch writes records in an order that its releases changed.
void look_at_script(const Checkpoint& checkpoint, Traits& seen) {
  const Container& container = checkpoint.container;
  const auto put = [&](Trait trait, bool is = true) { seen.set(static_cast<std::size_t>(trait), is); };
  const std::string root = container.root_folder + (container.root_folder.empty() ? "" : "/");
  const auto& records = container.records;
  const auto place = [&](std::string_view name) {
    const auto found = std::find_if(records.begin(), records.end(), [&](const RecordInfo& record) {
      return record.name == root + std::string(name);
    });
    return static_cast<std::size_t>(found - records.begin());
  };
  const std::size_t none = records.size();
  const std::size_t version = place("version"), data = place("data.pkl"), constants = place("constants.pkl");
  if (data == none) {
    const bool debug = std::any_of(records.begin(), records.end(), [&](const RecordInfo& record) {
      return record.name.starts_with(root + "debug/");
    });
    put(debug ? Trait::script_1_2 : place("attributes.pkl") == none ? Trait::script_1_0 : Trait::script_1_1);
    return;
  }
  put(container.byte_order ? Trait::byte_order : Trait::no_byte_order);
  put(Trait::serialization_id, container.serialization_id);
  if (!find_tool(checkpoint).empty()) return;  // who packed it anew may have sorted the records
  if (version == none || version > constants)
    put(Trait::script_late);
  else if (constants < data)
    put(Trait::script_1_3);
  else if (container.version == "1" || container.version == "2")
    put(container.version == "1" ? Trait::script_1_4 : Trait::script_1_5);
  const auto debug = std::find_if(records.begin(), records.end(), is_debug);
  if (debug == records.end()) return;
  const bool texts = head_of(checkpoint, *debug).find("FORMAT_WITH_STRING_TABLE") != std::string::npos;
  put(texts ? Trait::script_texts : Trait::script_no_texts);
}

// Optimizer states, scheduler states and scaler states, wherever they lie in the tree.
class StateSearch {
 public:
  StateSearch(const Checkpoint& checkpoint, Traits& seen) : graph_(checkpoint.values), seen_(seen) {
    for (const Note& note : checkpoint.notes)
      if (note.code == Code::scaler_from_object) made_here_.insert(note.node);
  }

  void run() {
    for (const NodeId id : graph_.reachable()) {
      if (graph_.kind(id) != Kind::dict || graph_.items(id).size() > 2 * kKeysMost) continue;
      look_at_scheduler(id);
      if (has(id, "_growth_tracker") && has(id, "growth_factor")) put(Trait::scaler_state);
      const NodeId groups = graph_.find(id, "param_groups"), state = graph_.find(id, "state");
      if (groups == kNoNode || state == kNoNode || graph_.kind(groups) != Kind::list) continue;
      adam_ = false;
      for (const NodeId group : graph_.items(groups))
        if (graph_.kind(group) == Kind::dict) look_at_group(group, made_here_.contains(id));
      if (graph_.kind(state) == Kind::dict && adam_) look_at_state(state);
    }
  }

 private:
  static constexpr std::size_t kKeysMost = 64;  // of the dicts that are looked for: a state_dict has more

  void put(Trait trait, bool is = true) {
    if (is) seen_.set(static_cast<std::size_t>(trait));
  }
  bool has(NodeId dict, std::string_view key) const { return graph_.find(dict, key) != kNoNode; }

  void look_at_scheduler(NodeId id) {
    if (!has(id, "last_epoch")) return;
    const bool common = has(id, "base_lrs");  // all schedulers but ReduceLROnPlateau
    put(Trait::scheduler_step_count, common && has(id, "_step_count"));
    put(Trait::scheduler_without_step_count, common && !has(id, "_step_count"));
    put(Trait::scheduler_not_called_within_step, common && !has(id, "_get_lr_called_within_step"));
    put(Trait::scheduler_called_within_step, has(id, "_get_lr_called_within_step"));
    put(Trait::scheduler_verbose, has(id, "verbose") && has(id, "_get_lr_called_within_step"));
    put(Trait::scheduler_initial, has(id, "_is_initial"));
  }

  void look_at_group(NodeId group, bool made_here) {
    const bool adam =
        has(group, "betas") && has(group, "eps") && has(group, "amsgrad") && has(group, "weight_decay");
    adam_ = adam_ || adam;  // SparseAdam has the same state, but kept integers longer
    const bool sgd = has(group, "dampening") && has(group, "nesterov");
    put(Trait::group_maximize, has(group, "maximize"));
    put(Trait::group_foreach, has(group, "foreach"));
    put(Trait::group_differentiable, has(group, "differentiable"));
    put(Trait::group_fused_sgd, sgd && has(group, "fused"));
    put(Trait::group_capturable_other,
        has(group, "capturable") && has(group, "differentiable") && !has(group, "betas"));
    put(Trait::group_decoupled, adam && has(group, "decoupled_weight_decay"));
    put(Trait::adam_without_maximize, adam && !has(group, "maximize"));
    put(Trait::adam_without_foreach, adam && !has(group, "foreach"));
    put(Trait::adam_without_differentiable, adam && !has(group, "differentiable"));
    put(Trait::adam_without_decoupled, adam && !has(group, "decoupled_weight_decay"));
    if (!made_here) look_at_parameters(graph_.find(group, "params"));
  }

  // Object ids are addresses; there are never as many parameters as the smallest of them.
  void look_at_parameters(NodeId list) {
    if (list == kNoNode || graph_.kind(list) != Kind::list) return;
    constexpr std::int64_t kIndexMost = 1 << 24;
    for (const NodeId item : graph_.items(list)) {
      const auto number = graph_.as_integer(item);
      if (number || graph_.kind(item) == Kind::big_integer)
        put(number && *number >= 0 && *number < kIndexMost ? Trait::optimizer_indices : Trait::optimizer_ids);
    }
  }

  void look_at_state(NodeId state) {
    for (std::size_t i = 0; i < graph_.entry_count(state); ++i) {
      const NodeId entry = graph_.entry(state, i).value;
      if (graph_.kind(entry) != Kind::dict || !has(entry, "exp_avg_sq")) continue;
      const NodeId step = graph_.find(entry, "step");
      if (step == kNoNode) continue;
      put(Trait::step_integers, graph_.kind(step) == Kind::integer);
      put(Trait::step_tensors, graph_.kind(step) == Kind::tensor);
      return;
    }
  }

  const ValueGraph& graph_;
  Traits& seen_;
  bool adam_ = false;  // the state at hand is one of Adam or AdamW
  std::unordered_set<NodeId>
      made_here_;  // states that the reader made of pickled objects: their keys are ours
};

Traits look(const Checkpoint& checkpoint) {
  Traits seen;
  const Container& container = checkpoint.container;
  if (container.format == "legacy tar") seen.set(static_cast<std::size_t>(Trait::tar_archive));
  if (container.format == "legacy stream") seen.set(static_cast<std::size_t>(Trait::legacy_stream));
  if (container.format == "torch zip") look_at_archive(container, checkpoint, seen);
  if (container.format == "TorchScript archive") look_at_script(checkpoint, seen);
  if (container.python == "2") seen.set(static_cast<std::size_t>(Trait::python2));
  StateSearch(checkpoint, seen).run();
  return seen;
}

// What was mentioned anywhere in the pickle.
struct Mentions {
  std::unordered_set<std::string> names;
  std::unordered_set<std::string_view> attributes;  // of those that rows look for

  explicit Mentions(const Checkpoint& checkpoint) {
    for (const GlobalUse& use : checkpoint.globals.uses()) names.insert(use.dotted());
    std::unordered_set<std::string_view> wanted = {kParameters, kModules};
    for (const Row& row : kEvidence)
      if (row.trait == Trait::attributes || row.trait == Trait::modules_without) wanted.insert(row.name);
    const ValueGraph& graph = checkpoint.values;
    for (NodeId id = 0; id < graph.node_count(); ++id) {
      if (graph.kind(id) != Kind::text || !graph.text(id).starts_with('_')) continue;
      if (const auto found = wanted.find(graph.text(id)); found != wanted.end()) attributes.insert(*found);
    }
  }

  // Modules of torch.nn that TorchScript wrote; those of C++ programs have other attributes.
  bool have_script_modules() const {
    return std::any_of(names.begin(), names.end(), [](const std::string& name) {
      return name.starts_with("__torch__.torch.nn.modules.");
    });
  }
  bool have_modules() const { return attributes.contains(kParameters) && attributes.contains(kModules); }

 private:
  static constexpr std::string_view kParameters = "_parameters", kModules = "_modules";
};

bool is_seen(const Row& row, const Traits& seen, const Mentions& mentions) {
  switch (row.trait) {
    case Trait::names:
      return mentions.names.contains(std::string(row.name));
    case Trait::attributes:
      return mentions.attributes.contains(row.name);
    case Trait::script_without_hook:
      return mentions.have_script_modules() && !mentions.attributes.contains("_is_full_backward_hook");
    case Trait::modules_without:
      return mentions.have_modules() && !mentions.attributes.contains(row.name);
    default:
      return seen.test(static_cast<std::size_t>(row.trait));
  }
}

// --- concluding

// `range` narrowed by `by`; false, and unchanged, when nothing would be left.
bool narrow(Releases& range, const Releases& by) {
  const Releases both{std::max(range.from, by.from), std::min(range.to, by.to)};
  if (both.to < both.from) return false;
  range = both;
  return true;
}

}  // namespace

std::string release_text(Release release) {
  return std::to_string(release.major) + "." + std::to_string(release.minor) +
         (release.patch > 0 ? "." + std::to_string(release.patch) : "");
}

std::string releases_text(const Releases& releases) {
  const bool open = releases.to == kLastRelease;
  if (open && releases.from == kLastRelease) return release_text(releases.from) + " or later";
  if (open)
    return releases.from == kFirstRelease ? "0.1.10 or later" : release_text(releases.from) + " or later";
  if (releases.from == kFirstRelease) return release_text(releases.to) + " or older";
  if (releases.from == releases.to) return release_text(releases.from);
  return release_text(releases.from) + " – " + release_text(releases.to);
}

Fingerprint find_fingerprint(const Checkpoint& checkpoint, std::string_view file_name) {
  Fingerprint result;
  result.python = checkpoint.container.python;
  result.tool = find_tool(checkpoint);
  const Traits seen = look(checkpoint);
  const Mentions mentions(checkpoint);

  // Certain bounds first, so that carried-over values and unusual options cannot push them aside.
  std::vector<const Row*> rows;
  for (const Row& row : kEvidence)
    if (is_seen(row, seen, mentions)) rows.push_back(&row);
  for (const Row* row : rows) {
    if (row->bound == Bound::certain) narrow(result.possible, row->releases);
    if (row->bound == Bound::values) narrow(result.possible, {row->releases.from, kLastRelease});
  }
  result.likely = result.possible;
  for (const Bound bound : {Bound::custom, Bound::values})
    for (const Row* row : rows)
      if (row->bound == bound) narrow(result.likely, row->releases);

  // A row is evidence when it is why a range ends where it ends; the first row for each end is enough.
  std::array<bool, 4> told{};
  for (const Row* row : rows) {
    const std::array<bool, 4> ends{
        row->releases.from != kFirstRelease && row->releases.from == result.possible.from,
        row->releases.to != kLastRelease && row->bound == Bound::certain &&
            row->releases.to == result.possible.to,
        row->releases.from != kFirstRelease && row->releases.from == result.likely.from,
        row->releases.to != kLastRelease && row->releases.to == result.likely.to};
    bool news = row->trait == Trait::legacy_stream;  // always said: it is what people want to know
    for (std::size_t i = 0; i < ends.size(); ++i) {
      news = news || (ends[i] && !told[i]);
      told[i] = told[i] || ends[i];
    }
    if (news && !row->because.empty()) result.evidence.emplace_back(row->because);
  }
  const std::string& root = checkpoint.container.root_folder;
  if (seen.test(static_cast<std::size_t>(Trait::named_root)) && root != stem_of(file_name))
    result.evidence.push_back("it was saved under the name " + quote(root, 60));
  return result;
}

// --- instructions

namespace {

// The main pickle as it lies in the source; empty when it is compressed or cannot be found.
std::vector<std::byte> read_main_program(const Checkpoint& checkpoint) {
  const Container& container = checkpoint.container;
  if (container.format == "legacy stream") {
    std::uint64_t offset = 0;
    for (int i = 0; i < 3; ++i)  // magic number, protocol version, system info
      offset +=
          pickle::find_program_size(*checkpoint.source, offset, container.pickle_size + 4096).value_or(0);
    return checkpoint.source->read({offset, container.pickle_size});
  }
  const std::string name =
      container.format == "legacy tar"
          ? "pickle"
          : container.root_folder + (container.root_folder.empty() ? "" : "/") + "data.pkl";
  for (const RecordInfo& record : container.records)
    if (record.name == name && record.stored_size == record.size)
      return checkpoint.source->read({record.offset, record.size});
  return {};
}

}  // namespace

PickleCensus take_census(const Checkpoint& checkpoint) {
  PickleCensus census;
  for (const pickle::Opcode& row : pickle::kOpcodes) {
    const auto byte = static_cast<std::uint8_t>(row.op);
    if (!row.weights_only && checkpoint.container.opcodes[byte] > 0)
      census.foreign.push_back({row.name, byte, checkpoint.container.opcodes[byte], std::nullopt});
  }
  const bool strings = checkpoint.container.opcodes[static_cast<std::uint8_t>(pickle::Op::string1)] > 0;
  if (census.foreign.empty() && !strings) return census;  // of nearly all files
  try {
    const std::vector<std::byte> program = read_main_program(checkpoint);
    for (std::size_t at = 0; at < program.size();) {
      const pickle::Instruction instruction = pickle::read_instruction(program, at);
      for (ForeignInstruction& one : census.foreign)
        if (one.byte == static_cast<std::uint8_t>(instruction.opcode->op) && !one.first) one.first = at;
      if (instruction.opcode->op == pickle::Op::string1 && !census.undecodable_text &&
          !is_utf8(as_text(Bytes(program).subspan(instruction.operand_begin, instruction.operand_size)),
                   false))
        census.undecodable_text = at;
      if (instruction.opcode->op == pickle::Op::stop) break;
      at = instruction.next;
    }
  } catch (const Error&) {
    // Places are only for the message; that the instructions are there is known.
  }
  std::stable_sort(census.foreign.begin(), census.foreign.end(),
                   [](const ForeignInstruction& a, const ForeignInstruction& b) {
                     return a.first.value_or(~std::uint64_t{0}) < b.first.value_or(~std::uint64_t{0});
                   });
  return census;
}

}  // namespace ferry::torch
