#include "src/cli/gathered.h"

#include <algorithm>
#include <cstring>

#include "src/cli/checksums.h"
#include "src/core/error.h"
#include "validators/numeric/tensor_reader.h"

namespace ferry::cli {
namespace {

// The elements of a view in row-major order, as a run of bytes that can be read anywhere.
class GatheredSource final : public ByteSource {
 public:
  explicit GatheredSource(const numeric::TensorView& view)
      : view_(view), itemsize_(info(view.dtype).itemsize), size_(view.size_bytes()) {}
  const std::string& name() const override { return view_.source->name(); }
  std::uint64_t size() const override { return size_; }

  // Reads whole elements, and gives what was asked of them.
  void read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    if (out.empty()) return;
    const std::uint64_t first = offset / itemsize_, end = (offset + out.size() + itemsize_ - 1) / itemsize_;
    if (offset % itemsize_ == 0 && out.size() % itemsize_ == 0)
      return numeric::read_elements(view_, first, end - first, out);
    std::vector<std::byte> elements(static_cast<std::size_t>((end - first) * itemsize_));
    numeric::read_elements(view_, first, end - first, elements);
    std::memcpy(out.data(), &elements[static_cast<std::size_t>(offset - first * itemsize_)], out.size());
  }

 private:
  const numeric::TensorView view_;
  const std::uint64_t itemsize_, size_;
};

// A stride of 0 can claim any number of elements; work has to follow from the bytes that are there.
void check_affordable(const Checkpoint& checkpoint, const Tensor& tensor) {
  constexpr std::uint64_t kTimesMax = 1024, kAlways = std::uint64_t{64} << 20;
  const auto elements = static_cast<std::uint64_t>(numel(checkpoint, tensor));
  const std::uint64_t itemsize = info(tensor.dtype).itemsize;
  if (elements > kAlways / itemsize &&
      elements / kTimesMax > checkpoint.storages[tensor.storage].bytes.size / itemsize)
    throw Error(Code::unsupported_tensor, "a tensor repeats its elements beyond all bounds");
}

}  // namespace

Gathered::Gathered(const Checkpoint& checkpoint, std::vector<std::uint32_t> tensors)
    : checkpoint_(checkpoint), views_(std::make_unique<TensorViews>(checkpoint)) {
  storages_.reserve(tensors.size());
  for (const std::uint32_t index : tensors) {
    const Tensor& tensor = checkpoint.tensors[index];
    const Storage& whole = checkpoint.storages[tensor.storage];
    check_affordable(checkpoint, tensor);
    const std::uint64_t itemsize = info(tensor.dtype).itemsize;
    const std::uint64_t size = static_cast<std::uint64_t>(numel(checkpoint, tensor)) * itemsize;
    const bool as_it_lies = is_contiguous(checkpoint, tensor) && !tensor.conjugated && !tensor.negated;
    const bool covers =
        as_it_lies && size == whole.bytes.size && tensor.offset == 0 && tensor.dtype == whole.dtype;
    Storage& storage = storages_.emplace_back(whole);
    storage.dtype = tensor.dtype;
    if (covers) continue;
    if (whole.bytes.crc) parts_.push_back(index);
    storage.bytes.crc.reset();
    storage.bytes.size = storage.bytes.stored_size = size;
    const bool direct = as_it_lies && whole.bytes.compression == Compression::stored &&
                        (!whole.bytes.big_endian || tensor.dtype == whole.dtype);
    if (direct) {
      storage.bytes.offset += static_cast<std::uint64_t>(tensor.offset) * itemsize;
      continue;
    }
    storage.bytes.source = std::make_shared<GatheredSource>(views_->view(index));
    storage.bytes.offset = 0;
    storage.bytes.compression = Compression::stored;
    storage.bytes.big_endian = false;
  }
}

void Gathered::check_parts(Executor& executor) const {
  if (!parts_.empty()) const Checksums checks(ChecksumSide{&checkpoint_, parts_}, executor);
}

}  // namespace ferry::cli
