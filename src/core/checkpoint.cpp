#include "src/core/checkpoint.h"

#include <algorithm>

#include "src/core/checked.h"
#include "src/core/error.h"

namespace ferry {

std::uint64_t Storage::kept_size() const {
  if (parts.empty()) return bytes.size;
  std::uint64_t size = 0;
  for (const ByteRange& part : parts) size += part.size;
  return size;
}

std::uint32_t Checkpoint::add_dims(std::span<const std::int64_t> shape,
                                   std::span<const std::int64_t> strides) {
  const std::size_t begin = dims.size();
  if (begin > 0xfffffff0u) throw Error(Code::limit_exceeded, "too many tensors");
  dims.insert(dims.end(), shape.begin(), shape.end());
  dims.insert(dims.end(), strides.begin(), strides.end());
  return static_cast<std::uint32_t>(begin);
}

void Checkpoint::forget_unreachable() {
  std::vector<NodeId> named;
  for (const Note& note : notes) named.push_back(note.node);
  for (const ModuleInfo& module : modules) {
    named.push_back(module.object);
    for (const auto& [name, value] : module.attributes) {
      named.push_back(name);
      named.push_back(value);
    }
  }
  for (const ClassSource& one : class_sources) named.push_back(one.text);
  std::erase(named, kNoNode);
  const KeptNodes kept = values.forget_unreachable(named);

  const auto renumber = [&](NodeId& node) {
    if (node != kNoNode) node = kept[node];
  };
  for (Note& note : notes) renumber(note.node);
  for (ModuleInfo& module : modules) {
    renumber(module.object);
    for (auto& [name, value] : module.attributes) {
      renumber(name);
      renumber(value);
    }
  }
  for (ClassSource& one : class_sources) renumber(one.text);
  tensors.shrink_to_fit();
  dims.shrink_to_fit();
}

std::uint16_t Checkpoint::device_index(std::string_view name) {
  const auto found = std::find(devices.begin(), devices.end(), name);
  if (found != devices.end()) return static_cast<std::uint16_t>(found - devices.begin());
  if (devices.size() >= 0xffff) throw Error(Code::limit_exceeded, "more than 65,535 different device tags");
  devices.emplace_back(name);
  return static_cast<std::uint16_t>(devices.size() - 1);
}

std::uint32_t Checkpoint::add_tensor(DType dtype, std::span<const std::int64_t> shape, StorageBytes bytes,
                                     bool fortran, std::string name) {
  std::vector<std::int64_t> strides(shape.size());
  std::int64_t step = 1;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const std::size_t axis = fortran ? i : shape.size() - 1 - i;
    strides[axis] = step;
    step *= std::max<std::int64_t>(shape[axis], 1);
  }
  Storage storage;
  storage.key = std::move(name);
  storage.dtype = dtype;
  storage.untyped = info(dtype).storage_class.empty();
  storage.numel = static_cast<std::int64_t>(bytes.size / (storage.untyped ? 1u : info(dtype).itemsize));
  storage.bytes = std::move(bytes);
  storages.push_back(std::move(storage));
  Tensor tensor;
  tensor.storage = static_cast<std::uint32_t>(storages.size() - 1);
  tensor.dtype = dtype;
  tensor.rank = static_cast<std::uint16_t>(shape.size());
  tensor.dims = add_dims(shape, strides);
  tensors.push_back(tensor);
  return static_cast<std::uint32_t>(tensors.size() - 1);
}

std::uint32_t Checkpoint::add_tensor(DType dtype, std::span<const std::int64_t> shape,
                                     std::vector<std::byte> bytes, bool fortran, std::string name) {
  StorageBytes place;
  place.size = place.stored_size = bytes.size();
  place.source = std::make_shared<MemorySource>(name, std::move(bytes));
  return add_tensor(dtype, shape, std::move(place), fortran, std::move(name));
}

std::int64_t numel(const Checkpoint& checkpoint, const Tensor& tensor) {
  return checked_numel(checkpoint.shape(tensor)).value_or(0);
}

bool is_contiguous(const Checkpoint& checkpoint, const Tensor& tensor) {
  const auto shape = checkpoint.shape(tensor), strides = checkpoint.strides(tensor);
  std::int64_t expected = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 0) return true;
    if (shape[i] != 1 && strides[i] != expected) return false;
    expected *= shape[i];
  }
  return true;
}

}  // namespace ferry
