// Views that torch conjugates or negates when they are read: t.conj(), the imag of a conjugated tensor.
//
// Their storage holds other numbers than the tensor shows, and a reader that does not know the two bits takes
// the wrong ones.  The bytes from the first to the last element are written once more with the signs as the
// tensor shows them; strides stay, the storage is no longer that of the tensor it was a view of.
// Source: torch/_utils.py (set_tensor_metadata), aten/src/ATen/{ConjugateFallback,NegateFallback}.cpp.
#include <memory>
#include <unordered_map>

#include "src/convert/joined_source.h"
#include "src/convert/rules/apply.h"
#include "src/convert/wording.h"
#include "src/core/checked.h"

namespace ferry::convert {
namespace {

// Which of the numbers change sign: of complex elements the real and imaginary parts come in turn.
struct Signs {
  std::size_t width;  // bytes of a number
  bool even, odd;
};

Signs signs_of(const Tensor& tensor) {
  const DTypeInfo& type = info(tensor.dtype);
  const bool complex = type.swap_unit < type.itemsize;
  return {type.swap_unit, tensor.negated, tensor.negated != (complex && tensor.conjugated)};
}

class FlippedSource final : public ByteSource {
 public:
  FlippedSource(SourcePtr source, Signs signs) : source_(std::move(source)), signs_(signs) {}
  const std::string& name() const override { return source_->name(); }
  std::uint64_t size() const override { return source_->size(); }
  void check_unchanged() const override { source_->check_unchanged(); }

  void read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    source_->read_at(offset, out);
    // The sign is the highest bit of the last byte of a number: the bytes are little-endian.
    const std::uint64_t first = signs_.width - 1 - offset % signs_.width;
    for (std::uint64_t i = first; i < out.size(); i += signs_.width) {
      const bool odd = (offset + i) / signs_.width % 2 != 0;
      if (odd ? signs_.odd : signs_.even) out[static_cast<std::size_t>(i)] ^= std::byte{0x80};
    }
  }

 private:
  SourcePtr source_;
  Signs signs_;
};

// The bytes from the first to the last element; nullopt when they do not lie in the file as they are.
std::optional<Piece> hull_of(const Checkpoint& checkpoint, const Tensor& tensor) {
  const Storage& storage = checkpoint.storages[tensor.storage];
  const StorageBytes& bytes = storage.bytes;
  const auto end = checked_extent(checkpoint.shape(tensor), checkpoint.strides(tensor), tensor.offset);
  if (!end || bytes.compression != Compression::stored || bytes.big_endian || !storage.parts.empty())
    return std::nullopt;
  const std::uint64_t item = info(tensor.dtype).itemsize;
  const ByteRange range{bytes.offset + static_cast<std::uint64_t>(tensor.offset) * item,
                        static_cast<std::uint64_t>(*end - tensor.offset) * item};
  return Piece{bytes.source, range, {bytes.offset, bytes.size}, bytes.crc};
}

bool resolve(Checkpoint& checkpoint, std::uint32_t index) {
  Tensor& tensor = checkpoint.tensors[index];
  if (tensor.storage == kNoStorage) return false;
  auto piece = hull_of(checkpoint, tensor);
  if (!piece) return false;
  const std::uint64_t size = piece->range.size;
  Storage storage;
  storage.key = checkpoint.storages[tensor.storage].key + "*";
  storage.dtype = tensor.dtype;
  storage.untyped = checkpoint.storages[tensor.storage].untyped;
  storage.numel = static_cast<std::int64_t>(storage.untyped ? size : size / info(tensor.dtype).itemsize);
  storage.bytes.source = std::make_shared<FlippedSource>(
      join_pieces(checkpoint.source->name(), {*std::move(piece)}), signs_of(tensor));
  storage.bytes.stored_size = storage.bytes.size = size;
  checkpoint.storages.push_back(std::move(storage));
  tensor.storage = static_cast<std::uint32_t>(checkpoint.storages.size() - 1);
  tensor.offset = 0;
  tensor.conjugated = tensor.negated = false;
  return true;
}

}  // namespace

void resolve_lazy_bits(Checkpoint& checkpoint, const RuleOptions&, ChangeLog& log) {
  std::size_t count = 0;
  for (std::uint32_t i = 0; i < checkpoint.tensors.size(); ++i)
    if ((checkpoint.tensors[i].conjugated || checkpoint.tensors[i].negated) && resolve(checkpoint, i))
      ++count;
  if (count != 0)
    log.add(Code::conj_resolved, "",
            counted(count, "conjugated or negated view") + " written out with the signs that it shows");
}

}  // namespace ferry::convert
