#include "src/cli/outputs.h"

#include <algorithm>
#include <map>
#include <set>

#include "formats/hdf5/names.h"
#include "formats/hdf5/skeleton.h"
#include "formats/safetensors/write.h"
#include "formats/state/state.h"
#include "src/cli/tensor_files.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::cli {
namespace {

std::string base_name(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }
std::string folder_of(const std::string& path) { return path.substr(0, path.find_last_of('/') + 1); }

// Tensors of which each shows a part of one storage, and which are written whole.
std::size_t count_apart(const Checkpoint& checkpoint, const state::Flat& flat) {
  std::map<std::uint32_t, std::size_t> views;
  for (const state::NamedTensor& named : flat.tensors) {
    const Tensor& tensor = checkpoint.tensors[named.tensor];
    if (numel(checkpoint, tensor) > 0) ++views[tensor.storage];
  }
  std::size_t count = 0;
  for (const auto& [storage, tensors] : views) count += tensors > 1 ? tensors : 0;
  return count;
}

class Planner {
 public:
  Planner(const Checkpoint& checkpoint, const TargetOptions& options, const std::string& path,
          const torch::Provenance& provenance, ChangeLog& log)
      : checkpoint_(checkpoint), options_(options), path_(path), provenance_(provenance), log_(log) {}

  Outputs run() {
    if (options_.target == Target::pt) {
      auto file = std::make_unique<torch::ZipFile>(checkpoint_, provenance_);
      return of_torch(std::move(file));
    }
    if (options_.target == Target::legacy) {
      if (const std::string types = torch::newer_than_1_1(checkpoint_); !types.empty())
        log_.add(Code::needs_later_old, "", "PyTorch before 1.2 does not know " + types);
      log_coalesced();
      return of_torch(std::make_unique<torch::LegacyFile>(checkpoint_));
    }
    return of_tensors();
  }

 private:
  template <typename File>
  Outputs of_torch(std::unique_ptr<File> file) {
    outputs_.storages = checkpoint_.storages;
    outputs_.tensor_bytes = file->tensor_bytes();
    outputs_.files.push_back({path_, std::move(file)});
    return std::move(outputs_);
  }

  // What the dialect of legacy streams leaves out of sparse tensors.
  void log_coalesced() {
    const ValueGraph& graph = checkpoint_.values;
    const auto nodes = graph.reachable();
    const auto count = std::ranges::count_if(nodes, [&](NodeId id) {
      return graph.kind(id) == Kind::composite && graph.composite(id) == Composite::sparse_coo &&
             graph.items(id).size() == 4;
    });
    if (count > 0)
      log_.add(Code::lost_value, "",
               "is_coalesced of " + grouped(static_cast<std::uint64_t>(count)) +
                   (count == 1 ? " sparse tensor" : " sparse tensors") + ": legacy streams do not say so");
  }

  Outputs of_tensors() {
    flat_ = state::flatten(checkpoint_);
    // Only safetensors has a place for further names.
    if (options_.target != Target::safetensors) flat_.needed = flat_.needed || !flat_.aliases.empty();
    for (const state::NamedTensor& named : flat_.tensors) {
      // Nobody else reads "%2F" as a slash, so the names themselves stand in the text.
      if (options_.target == Target::hdf5 && hdf5::link_name(named.name) != named.name) flat_.needed = true;
      const Tensor& tensor = checkpoint_.tensors[named.tensor];
      const auto shape = checkpoint_.shape(tensor);
      specs_.push_back({named.name, tensor.dtype, {shape.begin(), shape.end()}});
      outputs_.tensor_bytes += safetensors::size_bytes(specs_.back());
    }
    log_what_changes();
    std::vector<std::uint32_t> tensors;
    for (const state::NamedTensor& named : flat_.tensors) tensors.push_back(named.tensor);
    outputs_.gathered = std::make_unique<Gathered>(checkpoint_, std::move(tensors));
    outputs_.storages = outputs_.gathered->storages();
    if (options_.target == Target::safetensors)
      plan_safetensors();
    else if (options_.target == Target::npz)
      outputs_.files.push_back({path_, std::make_unique<NpzFile>(specs_)});
    else
      outputs_.files.push_back({path_, std::make_unique<Hdf5File>(checkpoint_, flat_, specs_, provenance_)});
    if (flat_.needed && options_.target != Target::hdf5) plan_state();
    return std::move(outputs_);
  }

  void log_what_changes() {
    if (!flat_.aliases.empty())
      log_.add(Code::tied_once, "",
               counted(flat_.aliases.size(), "further name") + " of tied tensors, written once: " +
                   quote(flat_.aliases.front().name, 60) + " is " + quote(flat_.aliases.front().kept, 60));
    if (const std::size_t count = count_apart(checkpoint_, flat_); count > 0)
      log_.add(Code::sharing_lost, "",
               counted(count, "tensor") + " that share memory in part, each written whole");
    if (!flat_.needed) return;
    log_.add(Code::state_beside, "",
             options_.target == Target::hdf5
                 ? "what is no tensor stands in the dataset '" + std::string(kStateDataset) + "'"
                 : "what is no tensor stands in " + quote(base_name(state_path())));
  }

  // model.safetensors → model.safetensors.json, also for shards.
  std::string state_path() const { return path_ + std::string(state::kSuffix); }

  void plan_state() {
    const state::Flat flat = std::move(flat_);
    const torch::Provenance provenance = provenance_;
    auto text = [tree = flat.tree, provenance](std::string_view hash) {
      state::Flat one;
      one.tree = tree;
      std::string record = torch::provenance_text(provenance, hash);
      record.pop_back();  // its line feed
      return state::document(one, record);
    };
    // Before the index, which comes last.
    const auto place = shard_count_ > 1 ? outputs_.files.end() - 1 : outputs_.files.end();
    outputs_.files.insert(place, Output{state_path(), std::make_unique<TextFile>(std::move(text))});
  }

  void plan_safetensors() {
    std::vector<std::uint32_t> shards(specs_.size(), 0);
    if (options_.shard_size_max > 0) shards = safetensors::split(specs_, options_.shard_size_max);
    shard_count_ = 1;
    for (const std::uint32_t shard : shards) shard_count_ = std::max<std::size_t>(shard_count_, shard + 1);
    std::string stem = base_name(path_);
    if (stem.ends_with(".safetensors")) stem.resize(stem.size() - std::string_view(".safetensors").size());
    std::vector<std::string> names;
    for (std::size_t shard = 0; shard < shard_count_; ++shard) {
      std::vector<std::uint32_t> members;
      for (std::uint32_t i = 0; i < specs_.size(); ++i)
        if (shards[i] == shard) members.push_back(i);
      names.push_back(shard_count_ == 1 ? base_name(path_)
                                        : safetensors::shard_name(stem, shard, shard_count_));
      outputs_.files.push_back(
          {folder_of(path_) + names.back(),
           std::make_unique<SafetensorsFile>(specs_, members, flat_.aliases, provenance_)});
    }
    if (shard_count_ == 1) return;
    const std::string index = safetensors::index_text(specs_, shards, names);
    outputs_.files.push_back({folder_of(path_) + stem + ".safetensors.index.json",
                              std::make_unique<TextFile>([index](std::string_view) { return index; })});
  }

  const Checkpoint& checkpoint_;
  const TargetOptions& options_;
  const std::string& path_;
  const torch::Provenance& provenance_;
  ChangeLog& log_;
  Outputs outputs_;
  state::Flat flat_;
  std::vector<safetensors::TensorSpec> specs_;
  std::size_t shard_count_ = 1;
};

}  // namespace

std::uint64_t Outputs::size() const {
  std::uint64_t size = 0;
  for (const Output& output : files) size += output.file->plan().size;
  return size;
}

Outputs plan_outputs(const Checkpoint& checkpoint, const TargetOptions& options, const std::string& path,
                     const torch::Provenance& provenance, ChangeLog& log) {
  return Planner(checkpoint, options, path, provenance, log).run();
}

}  // namespace ferry::cli
