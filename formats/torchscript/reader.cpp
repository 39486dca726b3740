#include "formats/torchscript/reader.h"

#include <algorithm>
#include <unordered_set>

#include "formats/torch/interpret.h"
#include "formats/torch/program.h"
#include "formats/torch/records.h"
#include "formats/torchscript/model_json.h"
#include "formats/torchscript/pickles.h"
#include "formats/torchscript/state_dict.h"
#include "formats/zip/directory.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::torchscript {
namespace {

constexpr std::string_view kData = "data.pkl", kConstants = "constants.pkl", kOldModel = "model.json";

// The records by which the archive is known, each with the folder that it lies in.
struct Marks {
  std::unordered_set<std::string> data, constants, old_model, version;

  bool is_new() const { return meet(data, constants); }
  bool is_old() const { return meet(old_model, version); }

 private:
  static bool meet(const std::unordered_set<std::string>& a, const std::unordered_set<std::string>& b) {
    return std::any_of(a.begin(), a.end(), [&](const std::string& folder) { return b.contains(folder); });
  }
};

Marks find_marks(const ByteSource& source) {
  Marks marks;
  zip::each_name(source, [&](std::string_view name) {
    const auto put = [&](std::string_view wanted, std::unordered_set<std::string>& folders) {
      if (!name.ends_with(wanted)) return;
      const std::string_view folder = name.substr(0, name.size() - wanted.size());
      const auto slashes = std::count(folder.begin(), folder.end(), '/');
      if (folder.empty() || (slashes == 1 && folder.back() == '/')) folders.emplace(folder);
    };
    put(kData, marks.data);
    put(kConstants, marks.constants);
    put(kOldModel, marks.old_model);
    put("version", marks.version);
    return true;
  });
  return marks;
}

struct Module {
  NodeId root = kNoNode;  // kNoNode: the file holds a value that is no module
  Instances instances;
};

class Reader {
 public:
  Reader(SourcePtr source, const Limits& limits, std::string_view main)
      : limits_(limits), main_(main), records_(zip::Archive::open(source, limits), main) {
    checkpoint_.source = std::move(source);
    records_.need_version();
    records_.read_header(checkpoint_);
    records_.describe(checkpoint_);
    checkpoint_.container.format = "TorchScript archive";
  }

  Checkpoint read() {
    Pickles pickles(records_, limits_, checkpoint_.globals);
    const Module module = main_ == kData ? read_data(pickles) : read_old(pickles);
    checkpoint_.container.python.clear();  // LibTorch wrote the pickle, whatever Python was around it
    if (module.root != kNoNode) {
      StateDict state = flatten(checkpoint_.values, module.instances, module.root, "", limits_);
      const std::size_t trained = stop_training(state);
      const NodeId root = make_root(state);
      describe_modules(state, trained);
      take_constants(pickles, state, module, root);
    }
    describe_rest(pickles);
    records_.give_records(checkpoint_, limits_);
    records_.look_back(checkpoint_);
    return std::move(checkpoint_);
  }

 private:
  void note(Code code, std::string what) {
    checkpoint_.note(checkpoint_.values.root(), code, std::move(what));
  }

  Module read_data(Pickles& pickles) try {
    const std::uint64_t size = records_.find(kData)->size;
    static constexpr std::string_view kFolders[] = {"data/"};
    ObjectReader objects;
    read_values(checkpoint_, std::move(*pickles.take(kData)), kFolders, objects);
    torch::note_trailing(checkpoint_, size, records_.root() + std::string(kData));
    if (records_.find(kOldModel) != nullptr)
      note(Code::archive_metadata, "model.json, which data.pkl took the place of, was not read");
    const NodeId root = checkpoint_.values.root();
    return {objects.instances().contains(root) ? root : kNoNode, objects.instances()};
  } catch (Error& error) {
    error.in(zip::in_record(records_.root() + std::string(kData)));
    throw;
  }

  Module read_old(Pickles& pickles) {
    checkpoint_.container.storage_folder = "tensors";
    OldModule old = read_model_json(checkpoint_, records_, pickles.take("attributes.pkl"), limits_);
    old_constants_ = old.constants;
    return {old.root, std::move(old.instances)};
  }

  void read_values(Checkpoint& checkpoint, pickle::Decoded decoded, std::span<const std::string_view> folders,
                   ObjectReader& objects) {
    torch::describe_program(checkpoint, std::move(decoded));
    torch::StorageTable table(checkpoint, torch::StorageTable::Layout::script);
    table.resolve();
    for (Storage& storage : checkpoint.storages) records_.place(storage, folders);
    torch::interpret(checkpoint, table, limits_, {},
                     [&](python::Call& call) { return objects.interpret(call); });
  }

  // state_dict() detaches its tensors.
  std::size_t stop_training(const StateDict& state) {
    const ValueGraph& values = checkpoint_.values;
    const auto trained =
        std::count_if(state.tensors.begin(), state.tensors.end(), [&](const StateDict::Entry& entry) {
          return values.kind(entry.tensor) == Kind::tensor &&
                 checkpoint_.tensors[values.index(entry.tensor)].requires_grad;
        });
    for (Tensor& tensor : checkpoint_.tensors) tensor.requires_grad = false;
    return static_cast<std::size_t>(trained);
  }

  NodeId make_root(const StateDict& state) {
    ValueGraph& values = checkpoint_.values;
    std::vector<NodeId> items, modules;
    for (const StateDict::Entry& entry : state.tensors)
      items.insert(items.end(), {values.make_text(entry.path), entry.tensor});
    for (const StateDict::Module& module : state.modules) {
      const NodeId version[] = {values.make_text("version"), values.make_integer(module.version)};
      const NodeId dict = values.make_dict(DictFlavor::plain);
      values.set_items(dict, version);
      modules.insert(modules.end(), {values.make_text(module.path), dict});
    }
    const NodeId root = values.make_dict(DictFlavor::ordered),
                 metadata = values.make_dict(DictFlavor::ordered),
                 attributes = values.make_dict(DictFlavor::plain);
    values.set_items(root, items);
    values.set_items(metadata, modules);
    values.set_entry(attributes, "_metadata", metadata);
    values.set_attributes(root, attributes);
    values.set_root(root);
    return root;
  }

  void describe_modules(const StateDict& state, std::size_t trained) {
    for (const StateDict::Description& one : state.descriptions) {
      std::string places;
      for (const std::string& path : one.paths)
        places += (places.empty() ? "" : ", ") + (path.empty() ? "the root" : path);
      if (one.count > one.paths.size())
        places += " and " + std::to_string(one.count - one.paths.size()) + " more";
      note(Code::module_described, one.what + ": " + places);
    }
    if (trained > 0)
      note(Code::module_described, std::to_string(trained) + " of " + std::to_string(state.tensors.size()) +
                                       " tensors required gradients");
    for (const std::string& path : state.cycles)
      note(Code::module_described, path + " is a module that it lies in; it was left out");
  }

  // Constants belong to the code, unless the module was frozen: then its weights are among them.
  void take_constants(Pickles& pickles, const StateDict& state, const Module& module, NodeId root) {
    if (old_constants_ > 0) note(Code::code_left_out, counted(old_constants_) + " of the code left out");
    std::optional<pickle::Decoded> decoded = pickles.take(kConstants);
    if (!decoded) return;
    const std::size_t count = decoded->graph.items(decoded->graph.root()).size();
    if (count == 0) return;
    const bool frozen = state.tensors.empty() || (!module.instances.at(module.root).module && main_ == kData);
    if (!frozen) return note(Code::code_left_out, counted(count) + " of the code left out");
    const std::size_t taken = add_constants(std::move(*decoded), root);
    if (taken > 0)
      note(Code::code_left_out,
           "the module is frozen: its weights became " + counted(taken) +
               " of the code, here as constants.0 and so on; which is which only the code says");
  }

  static std::string counted(std::size_t count) {
    return std::to_string(count) + (count == 1 ? " constant" : " constants");
  }

  std::size_t add_constants(pickle::Decoded decoded, NodeId root) try {
    static constexpr std::string_view kFolders[] = {"constants/", ""};
    Checkpoint aside;
    aside.source = checkpoint_.source;
    ObjectReader objects;
    read_values(aside, std::move(decoded), kFolders, objects);
    const StateDict state =
        flatten(aside.values, objects.instances(), aside.values.root(), "constants", limits_);
    const auto first = static_cast<std::uint32_t>(checkpoint_.storages.size());
    for (Storage& storage : aside.storages) {
      storage.key = "constants/" + storage.key;
      storage.device = checkpoint_.device_index(aside.devices[storage.device]);
      checkpoint_.storages.push_back(std::move(storage));
    }
    for (const StateDict::Entry& entry : state.tensors) {
      const NodeId pair[] = {checkpoint_.values.make_text(entry.path), adopt(aside, entry.tensor, first)};
      checkpoint_.values.append(root, pair);
    }
    return state.tensors.size();
  } catch (Error& error) {
    error.in(zip::in_record(records_.root() + std::string(kConstants)));
    throw;
  }

  // A tensor of another checkpoint whose storages were added from `first` on, with the parts that it is made
  // of.
  NodeId adopt(const Checkpoint& aside, NodeId node, std::uint32_t first) {
    if (aside.values.kind(node) == Kind::tensor) return adopt_strided(aside, node, first);
    const auto items = aside.values.items(node);
    std::vector<NodeId> parts;
    for (const NodeId part : std::vector<NodeId>(items.begin(), items.end()))
      parts.push_back(adopt_part(aside, part, first));
    return checkpoint_.values.make_composite(aside.values.composite(node), 0, parts);
  }

  NodeId adopt_strided(const Checkpoint& aside, NodeId node, std::uint32_t first) {
    Tensor tensor = aside.tensors[aside.values.index(node)];
    if (tensor.storage != kNoStorage) tensor.storage += first;
    tensor.dims = checkpoint_.add_dims(aside.shape(tensor), aside.strides(tensor));
    tensor.requires_grad = false;
    checkpoint_.tensors.push_back(tensor);
    return checkpoint_.values.make_indexed(Kind::tensor,
                                           static_cast<std::uint32_t>(checkpoint_.tensors.size() - 1));
  }

  NodeId adopt_part(const Checkpoint& aside, NodeId part, std::uint32_t first) {
    ValueGraph& values = checkpoint_.values;
    switch (aside.values.kind(part)) {
      case Kind::tensor:
        return adopt_strided(aside, part, first);
      case Kind::integer:
        return values.make_integer(aside.values.integer(part));
      case Kind::real:
        return values.make_real(aside.values.real(part));
      case Kind::boolean:
        return values.make_boolean(aside.values.boolean(part));
      case Kind::none:
        return values.make_none();
      case Kind::tuple:
      case Kind::size: {
        std::vector<NodeId> sizes;
        for (const NodeId size : aside.values.items(part))
          sizes.push_back(values.make_integer(aside.values.as_integer(size).value_or(0)));
        return values.make_tuple(sizes);
      }
      default:
        throw Error(Code::bad_tensor, "a tensor is made of something that is no part of one")
            .at(aside.values.at(part));
    }
  }

  // Files that are not part of a state_dict.
  void describe_rest(const Pickles& pickles) {
    std::size_t code = 0;
    const std::string extra = records_.root() + "extra/", source = records_.root() + "code/";
    for (const zip::Record& record : records_.archive().records()) {
      if (record.name.starts_with(source) && record.name.ends_with(".py")) ++code;
      if (record.name.starts_with(extra))
        note(Code::archive_metadata, "extra file " + quote(record.name.substr(extra.size())) + ", " +
                                         iec_size(record.size) + ", was left out");
    }
    for (const std::string& name : pickles.others()) note(Code::archive_metadata, name + " was left out");
    if (code > 0)
      note(Code::code_left_out,
           std::to_string(code) + (code == 1 ? " file" : " files") + " of code left out");
  }

  const Limits& limits_;
  std::string_view main_;  // the record that holds the module
  torch::Records records_;
  Checkpoint checkpoint_;
  std::size_t old_constants_ = 0;
};

}  // namespace

Likeness looks_like_torchscript(const ByteSource& source) {
  const Likeness zip = zip::looks_like_zip(source);
  if (!zip.matches) return {false, zip.reason};
  const Marks marks = find_marks(source);
  if (marks.is_new()) return {true, "it is a zip archive with a constants.pkl beside its data.pkl"};
  if (marks.is_old()) return {true, "it is a zip archive with a model.json"};
  return {false, "it is a zip archive without constants.pkl and model.json"};
}

Checkpoint open_torchscript(SourcePtr source, const Limits& limits) {
  const bool is_new = find_marks(*source).is_new();
  return Reader(std::move(source), limits, is_new ? kData : kOldModel).read();
}

}  // namespace ferry::torchscript
