#include "src/cli/opened.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "formats/copy/storage_stream.h"
#include "formats/hdf5/reader.h"
#include "formats/zip/inflated_source.h"
#include "src/core/error.h"

namespace ferry::cli {

bool Opened::weights_only() const {
  static constexpr std::array<std::string_view, 5> kFormats = {"safetensors", "sharded safetensors", "npz",
                                                               "npy", "hdf5"};
  return std::find(kFormats.begin(), kFormats.end(), checkpoint.container.format) != kFormats.end();
}

void need_archive(const std::string& path, const std::string& verb) {
  std::error_code problem;
  const bool folder = std::filesystem::is_directory(path, problem);
  if (!folder && hdf5::looks_like_hdf5(*open_file(path)).matches) return;
  throw Error(Code::bad_usage, "AFTER is missing: alone, this would have to be what --save wrote")
      .of(path)
      .with_hint("torchferry " + verb + " BEFORE AFTER");
}

numeric::TensorView TensorViews::view(std::uint32_t index) const {
  const Tensor& tensor = checkpoint_.tensors[index];
  if (tensor.storage == kNoStorage) throw Error(Code::unsupported_tensor, "a meta tensor has no data");
  const Storage& storage = checkpoint_.storages[tensor.storage];
  numeric::TensorView view;
  view.dtype = tensor.dtype;
  view.big_endian = storage.bytes.big_endian;
  view.conjugated = tensor.conjugated;
  view.negated = tensor.negated;
  view.shape = checkpoint_.shape(tensor);
  view.strides = checkpoint_.strides(tensor);
  view.offset = static_cast<std::uint64_t>(tensor.offset) * info(tensor.dtype).itemsize;
  if (storage.bytes.compression == Compression::stored) {
    view.source = storage.bytes.source.get();
    view.offset += storage.bytes.offset;
    return view;
  }
  const std::lock_guard lock(guard_);
  SourcePtr& inflated = inflated_[tensor.storage];
  if (!inflated)
    inflated = std::make_shared<zip::InflatedSource>(storage.bytes.source, copy::record_of(storage), space_);
  view.source = inflated.get();
  return view;
}

}  // namespace ferry::cli
