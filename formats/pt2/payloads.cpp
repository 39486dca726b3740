#include "formats/pt2/payloads.h"

#include <algorithm>
#include <unordered_map>

#include "formats/pt2/schema.h"
#include "src/core/checked.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::pt2 {
namespace {

struct TensorMeta {
  DType dtype = DType::float32;
  std::vector<std::int64_t> sizes, strides;
  std::int64_t offset = 0;
  bool requires_grad = false;
};

std::int64_t plain_integer(const json::Value& value) {
  const auto& [kind, content] = tagged(value, "a size of a stored tensor");
  if (kind != "as_int") throw Error(Code::bad_pt2, "the size of a stored tensor is symbolic");
  return integer_of(content, "a size of a stored tensor");
}

std::vector<std::int64_t> plain_integers(const json::Value& value, std::size_t rank_max) {
  const auto& array = array_of(value, "the sizes of a stored tensor");
  if (array.size() > rank_max)
    throw Error(Code::limit_exceeded, "a tensor of " + std::to_string(array.size()) + " dimensions");
  std::vector<std::int64_t> result;
  for (const json::Value& item : array) result.push_back(plain_integer(item));
  return result;
}

TensorMeta read_meta(const json::Value& value, const Limits& limits) {
  TensorMeta meta;
  meta.dtype = dtype_of(integer_of(member(value, "dtype"), "the dtype of a tensor"));
  meta.sizes = plain_integers(member(value, "sizes"), limits.rank_max);
  meta.strides = plain_integers(member(value, "strides"), limits.rank_max);
  meta.offset = plain_integer(member(value, "storage_offset"));
  meta.requires_grad = boolean_of(member(value, "requires_grad"), "requires_grad");
  if (layout_of(integer_of(member(value, "layout"), "the layout of a tensor")) != Layout::strided)
    throw Error(Code::unsupported_tensor, "the tensor is not strided");
  return meta;
}

class PayloadReader {
 public:
  PayloadReader(Checkpoint& checkpoint, const Records& records, std::string folder, const Limits& limits)
      : checkpoint_(checkpoint), records_(records), folder_(std::move(folder)), limits_(limits) {}

  // Nothing for what is pickled or no tensor.
  std::optional<std::uint32_t> add(const json::Value& value) {
    const bool pickled = boolean_of(member(value, "use_pickle"), "use_pickle");
    const json::Value& meta_value = member(value, "tensor_meta");
    if (pickled || meta_value.is_null()) return std::nullopt;
    const TensorMeta meta = read_meta(meta_value, limits_);
    const std::uint32_t storage = storage_of(text_of(member(value, "path_name"), "path_name"), meta.dtype);
    check_extent(meta, checkpoint_.storages[storage]);
    Tensor tensor;
    tensor.storage = storage;
    tensor.dtype = meta.dtype;
    tensor.requires_grad = meta.requires_grad;
    tensor.parameter = boolean_of(member(value, "is_param"), "is_param");
    tensor.rank = static_cast<std::uint16_t>(meta.sizes.size());
    tensor.dims = checkpoint_.add_dims(meta.sizes, meta.strides);
    tensor.offset = meta.offset;
    checkpoint_.tensors.push_back(tensor);
    return static_cast<std::uint32_t>(checkpoint_.tensors.size() - 1);
  }

 private:
  std::uint32_t storage_of(const std::string& path, DType dtype) {
    const auto [found, added] =
        storages_.try_emplace(path, static_cast<std::uint32_t>(checkpoint_.storages.size()));
    if (added)
      add_storage(path, dtype);
    else
      share(checkpoint_.storages[found->second], dtype);
    return found->second;
  }

  void add_storage(const std::string& path, DType dtype) {
    const zip::Record& record = records_.demand(folder_ + path);
    Storage storage;
    storage.key = path;
    storage.dtype = dtype;
    storage.untyped = info(dtype).storage_class.empty();
    storage.bytes.source = records_.archive().source();
    storage.bytes.offset = record.data_offset;
    storage.bytes.stored_size = record.stored_size;
    storage.bytes.size = record.size;
    storage.bytes.compression = record.method == zip::kStored ? Compression::stored : Compression::deflated;
    storage.bytes.big_endian = records_.big_endian() && info(dtype).swap_unit > 1;
    if (record.crc_computed) storage.bytes.crc = record.crc;
    const std::uint64_t unit = storage.untyped ? 1 : info(dtype).itemsize;
    if (record.size % unit != 0)
      throw Error(Code::bad_record_size, "a record of " + std::to_string(record.size) +
                                             " bytes holds no whole number of " +
                                             std::string(info(dtype).name))
          .in(zip::in_record(record.name));
    storage.numel = static_cast<std::int64_t>(record.size / unit);
    checkpoint_.storages.push_back(std::move(storage));
  }

  // Two tensors of different types over the same bytes: the storage has no type of its own.
  static void share(Storage& storage, DType dtype) {
    if (storage.untyped || storage.dtype == dtype) return;
    if (storage.bytes.big_endian)
      throw Error(Code::bad_byte_order, "tensors of two types share big-endian bytes");
    storage.untyped = true;
    storage.numel = static_cast<std::int64_t>(storage.bytes.size);
  }

  static void check_extent(const TensorMeta& meta, const Storage& storage) {
    if (meta.sizes.size() != meta.strides.size() || meta.offset < 0 || !checked_numel(meta.sizes))
      throw Error(Code::bad_tensor, "sizes, strides and offset do not fit together");
    const auto extent = checked_extent(meta.sizes, meta.strides, meta.offset);
    const auto bytes = extent ? checked_mul(*extent, std::int64_t{info(meta.dtype).itemsize}) : std::nullopt;
    if (!bytes || static_cast<std::uint64_t>(*bytes) > storage.bytes.size)
      throw Error(Code::bad_record_size,
                  "the tensor reaches beyond its record of " + std::to_string(storage.bytes.size) + " bytes");
  }

  Checkpoint& checkpoint_;
  const Records& records_;
  std::string folder_;
  const Limits& limits_;
  std::unordered_map<std::string, std::uint32_t> storages_;
};

}  // namespace

std::vector<NamedTensor> read_payloads(Checkpoint& checkpoint, const Records& records,
                                       const std::string& config, const std::string& folder,
                                       const Limits& limits, std::vector<std::string>& unreadable) {
  std::vector<NamedTensor> result;
  const json::Value document = records.read_json(config);
  PayloadReader reader(checkpoint, records, folder, limits);
  for (const auto& [name, value] : object_of(member(document, "config"), "config")) {
    try {
      if (const auto tensor = reader.add(value))
        result.push_back({name, *tensor});
      else
        unreadable.push_back(name);
    } catch (Error& error) {
      error.in("in tensor " + quote(name)).in(zip::in_record(records.root() + config));
      throw;
    }
  }
  return result;
}

}  // namespace ferry::pt2
