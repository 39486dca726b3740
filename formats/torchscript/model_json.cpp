// Source: torch/csrc/jit/serialization/import_legacy.cpp, caffe2/proto/torch.proto and caffe2.proto (the enum
// of data types), and files that 1.0.1, 1.1.0 and 1.2.0 wrote.
#include "formats/torchscript/model_json.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>
#include <unordered_set>

#include "formats/json/json.h"
#include "formats/torch/interpret.h"
#include "formats/torch/program.h"
#include "src/core/checked.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::torchscript {
namespace {

constexpr std::string_view kRecord = "model.json";
constexpr std::uint64_t kJsonMax = std::uint64_t{256} << 20;
constexpr std::size_t kJsonDepthMax = 1000;
constexpr std::int64_t kProtoMost = 5;  // of 1.2, the last one

[[noreturn]] void fail(const std::string& what) { throw Error(Code::bad_torchscript, what); }

const json::Value& member(const json::Value& object, std::string_view name) {
  const json::Value* value = object.find(name);
  if (value == nullptr) fail("something has no " + quote(name));
  return *value;
}

const json::Value::Array& list(const json::Value& object, std::string_view name) {
  static const json::Value::Array kNone;
  const json::Value* value = object.find(name);
  if (value == nullptr) return kNone;  // protobuf leaves out what is empty
  if (value->array() == nullptr) fail(quote(name) + " is no list");
  return *value->array();
}

// Protobuf writes integers of 64 bits as text.
std::int64_t integer(const json::Value& value, std::string_view what) {
  if (const auto number = value.integer()) return *number;
  const std::string* text = value.text();
  std::int64_t number = 0;
  if (text == nullptr) fail(std::string(what) + " is no number");
  const auto end = std::from_chars(text->data(), text->data() + text->size(), number);
  if (end.ec != std::errc() || end.ptr != text->data() + text->size())
    fail(std::string(what) + " is " + quote(*text, 40) + ", no number");
  return number;
}

std::int64_t integer_of(const json::Value& object, std::string_view name, std::int64_t otherwise) {
  const json::Value* value = object.find(name);
  return value == nullptr ? otherwise : integer(*value, name);
}

std::string text_of(const json::Value& object, std::string_view name) {
  const std::string* text = member(object, name).text();
  if (text == nullptr) fail(quote(name) + " is no text");
  return *text;
}

bool flag_of(const json::Value& object, std::string_view name) {
  const json::Value* value = object.find(name);
  if (value != nullptr && !value->boolean()) fail(quote(name) + " is neither true nor false");
  return value != nullptr && *value->boolean();
}

DType dtype_of(const json::Value& value) {
  static constexpr std::pair<std::string_view, DType> kTypes[] = {
      {"FLOAT", DType::float32},   {"INT32", DType::int32},   {"BYTE", DType::uint8},
      {"BOOL", DType::boolean},    {"UINT8", DType::uint8},   {"INT8", DType::int8},
      {"UINT16", DType::uint16},   {"INT16", DType::int16},   {"INT64", DType::int64},
      {"FLOAT16", DType::float16}, {"DOUBLE", DType::float64}};
  const std::string name = text_of(value, "dataType");
  for (const auto& [known, dtype] : kTypes)
    if (known == name) return dtype;
  throw Error(Code::unsupported_tensor, "a tensor has the data type " + quote(name, 40));
}

// The tensors of the table: dims, strides and offset count elements; several may share a record.
class Table {
 public:
  Table(Checkpoint& checkpoint, const torch::Records& records, const Limits& limits)
      : checkpoint_(checkpoint), records_(records), limits_(limits) {}

  std::uint32_t add(const json::Value& value) {
    if (flag_of(value, "isQuantized"))
      throw Error(Code::unsupported_tensor, "a tensor is quantized, as no release wrote it");
    Tensor tensor;
    tensor.dtype = dtype_of(value);
    tensor.requires_grad = flag_of(value, "requiresGrad");
    tensor.offset = integer_of(value, "offset", 0);
    const auto shape = sizes(value, "dims"), strides = sizes(value, "strides");
    if (shape.size() != strides.size()) fail("a tensor has a stride for some dimensions only");
    tensor.storage =
        storage_of(text_of(member(value, "data"), "key"), tensor.dtype, text_of(value, "device"));
    const Storage& storage = checkpoint_.storages[tensor.storage];
    const auto extent = checked_extent(shape, strides, tensor.offset);
    const auto bytes = extent ? checked_mul(*extent, info(tensor.dtype).itemsize) : std::nullopt;
    const bool empty = checked_numel(shape) == 0;
    if (!bytes || (static_cast<std::uint64_t>(*bytes) > storage.bytes.size && !empty))
      throw Error(Code::bad_tensor, "a tensor reaches outside record " + quote(storage.key) + " of " +
                                        std::to_string(storage.bytes.size) + " bytes");
    tensor.rank = static_cast<std::uint16_t>(shape.size());
    tensor.dims = checkpoint_.add_dims(shape, strides);
    checkpoint_.tensors.push_back(tensor);
    return static_cast<std::uint32_t>(checkpoint_.tensors.size() - 1);
  }

 private:
  std::vector<std::int64_t> sizes(const json::Value& value, std::string_view name) const {
    std::vector<std::int64_t> result;
    for (const json::Value& item : list(value, name)) {
      result.push_back(integer(item, name));
      if (result.back() < 0) fail("a size or stride is negative");
    }
    if (result.size() > limits_.rank_max)
      throw Error(Code::limit_exceeded, "a tensor has " + std::to_string(result.size()) + " dimensions");
    return result;
  }

  std::uint32_t storage_of(const std::string& key, DType dtype, const std::string& device) {
    const auto [found, fresh] =
        by_key_.try_emplace(key, static_cast<std::uint32_t>(checkpoint_.storages.size()));
    if (!fresh) {
      Storage& storage = checkpoint_.storages[found->second];
      if (storage.dtype != dtype) storage.untyped = true;  // tensors of two types over the same bytes
      if (storage.untyped) storage.numel = static_cast<std::int64_t>(storage.bytes.size);
      return found->second;
    }
    const zip::Record* record = records_.find(key);
    if (record == nullptr)
      throw Error(Code::missing_record, "the archive has no record " + quote(records_.root() + key));
    Storage storage;
    storage.key = key;
    storage.dtype = dtype;
    storage.device = checkpoint_.device_index(device);
    storage.numel = static_cast<std::int64_t>(record->size / info(dtype).itemsize);
    storage.bytes.size = record->size;
    if (record->size % info(dtype).itemsize != 0)
      throw Error(Code::bad_record_size, "a record of " + std::to_string(record->size) +
                                             " bytes holds no whole number of " +
                                             std::string(info(dtype).name))
          .in(zip::in_record(record->name));
    static constexpr std::string_view kFolders[] = {""};
    records_.place(storage, kFolders);
    checkpoint_.storages.push_back(std::move(storage));
    return found->second;
  }

  Checkpoint& checkpoint_;
  const torch::Records& records_;
  const Limits& limits_;
  std::unordered_map<std::string, std::uint32_t> by_key_;
};

// Modules as dicts: parameters and buffers, then attributes, then children.
class Modules {
 public:
  Modules(ValueGraph& graph, std::span<const std::uint32_t> tensors, std::span<const NodeId> attributes,
          Instances& instances)
      : graph_(graph), tensors_(tensors), attributes_(attributes), instances_(instances) {}

  NodeId add(const json::Value& main) {
    const NodeId root = make_dict(main);
    std::vector<std::pair<const json::Value*, NodeId>> open = {{&main, root}};
    while (!open.empty()) {
      const auto [module, dict] = open.back();
      open.pop_back();
      items_.clear();
      names_.clear();
      fill(*module);
      for (const json::Value& child : list(*module, "submodules")) {
        open.emplace_back(&child, make_dict(child));
        put(text_of(child, "name"), open.back().second);
      }
      graph_.set_items(dict, items_);
    }
    return root;
  }

  std::size_t used() const { return used_.size(); }

 private:
  NodeId make_dict(const json::Value& module) {
    if (module.object() == nullptr) fail("a module is no object");
    const NodeId dict = graph_.make_dict(DictFlavor::plain);
    instances_.emplace(dict, Instance{"ScriptModule", true});  // their classes have no names yet
    return dict;
  }

  void put(const std::string& name, NodeId value) {
    if (!names_.insert(name).second) fail("a module has two attributes " + quote(name));
    items_.insert(items_.end(), {graph_.make_text(name), value});
  }

  void fill(const json::Value& module) {
    for (const json::Value& parameter : list(module, "parameters")) {
      const auto id = static_cast<std::uint64_t>(integer_of(parameter, "tensorId", 0));
      if (id >= tensors_.size()) fail("a parameter names a tensor that is not in the table");
      used_.insert(id);
      put(text_of(parameter, "name"), graph_.make_indexed(Kind::tensor, tensors_[id]));
    }
    for (const json::Value& attribute : list(module, "attributes")) {
      const std::string name = text_of(attribute, "name");
      if (!names_.contains(name))  // else a buffer, said already
        put(name, value_of(integer_of(attribute, "id", 0)));
    }
    if (const json::Value* state = module.find("getStateAttributeId"); state != nullptr)
      put("__getstate__", value_of(integer(*state, "getStateAttributeId")));
  }

  NodeId value_of(std::int64_t id) const {
    if (id < 0) return graph_.make_none();
    if (static_cast<std::uint64_t>(id) >= attributes_.size())
      fail("an attribute has no value in attributes.pkl");
    return attributes_[static_cast<std::size_t>(id)];
  }

  ValueGraph& graph_;
  std::span<const std::uint32_t> tensors_;
  std::span<const NodeId> attributes_;
  Instances& instances_;
  std::vector<NodeId> items_;  // of the module at hand
  std::unordered_set<std::string> names_;
  std::unordered_set<std::uint64_t> used_;
};

json::Value read_json(const torch::Records& records) {
  const auto bytes = records.archive().read(*records.find(kRecord), kJsonMax);
  json::Rules rules;
  rules.depth_max = kJsonDepthMax;
  rules.size_max = kJsonMax;
  rules.broken = Code::bad_torchscript;
  return json::parse(as_text(Bytes(bytes)), rules);
}

// The values of attributes.pkl, and the instances among them; none before 1.1.
std::vector<NodeId> read_attributes(Checkpoint& checkpoint, std::optional<pickle::Decoded> decoded,
                                    ObjectReader& objects, const Limits& limits) {
  if (!decoded) return {};
  torch::describe_program(checkpoint, std::move(*decoded));
  torch::StorageTable table(checkpoint, torch::StorageTable::Layout::script);
  torch::interpret(checkpoint, table, limits, {},
                   [&](python::Call& call) { return objects.interpret(call); });
  const NodeId root = checkpoint.values.root();
  if (checkpoint.values.kind(root) != Kind::tuple && checkpoint.values.kind(root) != Kind::list)
    fail("attributes.pkl holds no list of values");
  const auto items = checkpoint.values.items(root);
  return {items.begin(), items.end()};
}

}  // namespace

OldModule read_model_json(Checkpoint& checkpoint, const torch::Records& records,
                          std::optional<pickle::Decoded> attributes, const Limits& limits) try {
  const json::Value document = read_json(records);
  const std::int64_t version = integer_of(document, "protoVersion", 0);
  if (version > kProtoMost)
    throw Error(Code::bad_version, "protoVersion " + std::to_string(version) + " is unknown");
  Table table(checkpoint, records, limits);
  std::vector<std::uint32_t> tensors;
  for (const json::Value& tensor : list(document, "tensors")) tensors.push_back(table.add(tensor));
  ObjectReader objects(tensors);
  const std::vector<NodeId> values = read_attributes(checkpoint, std::move(attributes), objects, limits);
  OldModule result{kNoNode, objects.instances(), 0};
  Modules modules(checkpoint.values, tensors, values, result.instances);
  result.root = modules.add(member(document, "mainModule"));
  result.constants = tensors.size() - std::min(tensors.size(), modules.used() + objects.tensors_taken());
  return result;
} catch (Error& error) {
  error.in(zip::in_record(records.root() + std::string(kRecord)));
  throw;
}

}  // namespace ferry::torchscript
