#include "validators/replay/stored.h"

#include <ATen/ATen.h>

#include "formats/copy/storage_stream.h"
#include "src/core/error.h"
#include "validators/replay/types.h"

namespace ferry::replay {

at::Tensor StoredTensors::storage(std::uint32_t index) {
  const auto [found, added] = storages_.try_emplace(index);
  if (added) {
    const Storage& storage = checkpoint_.storages[index];
    at::Tensor bytes = at::empty({static_cast<std::int64_t>(storage.bytes.size)}, at::kByte);
    copy::StorageStream(storage).read(
        std::as_writable_bytes(std::span(bytes.data_ptr<std::uint8_t>(), storage.bytes.size)));
    found->second = std::move(bytes);
  }
  return found->second;
}

at::Tensor StoredTensors::load(std::uint32_t index) {
  const Tensor& tensor = checkpoint_.tensors[index];
  const c10::ScalarType type = scalar_type_of(tensor.dtype);
  const auto shape = checkpoint_.shape(tensor);
  if (tensor.storage == kNoStorage) throw Error(Code::unsupported_tensor, "a meta tensor has no data");
  const std::uint8_t size = info(tensor.dtype).itemsize;
  at::Tensor bytes = storage(tensor.storage);
  // The tail that is no whole element belongs to another view.
  at::Tensor elements = bytes.narrow(0, 0, bytes.numel() / size * size).view(type);
  elements = elements.as_strided(shape, checkpoint_.strides(tensor), tensor.offset);
  if (tensor.conjugated) elements = elements.conj().resolve_conj();
  if (tensor.negated) elements = elements.neg();
  return elements;
}

FlatTensor flat_copy(const at::Tensor& tensor) {
  FlatTensor flat;
  flat.kept = tensor.detach().resolve_conj().resolve_neg();
  if (flat.kept.layout() != at::kStrided) flat.kept = flat.kept.to_dense();
  flat.kept = flat.kept.to(at::kCPU).contiguous();
  flat.dtype = dtype_of(flat.kept.scalar_type());
  flat.shape = flat.kept.sizes().vec();
  flat.bytes = Bytes(static_cast<const std::byte*>(flat.kept.const_data_ptr()),
                     static_cast<std::size_t>(flat.kept.nbytes()));
  return flat;
}

}  // namespace ferry::replay
