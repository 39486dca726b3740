#include "src/convert/joined_source.h"

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>

#include "src/core/error.h"

namespace ferry::convert {
namespace {

// CRC-32 as zip has it.  formats/zip has a fast one, which rules do not see; here it runs over a few records.
constexpr std::array<std::uint32_t, 256> kTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ ((value & 1) != 0 ? 0xedb88320u : 0u);
    table[i] = value;
  }
  return table;
}();

std::uint32_t crc_of(const ByteSource& source, ByteRange range) {
  std::uint32_t crc = 0xffffffffu;
  for (std::uint64_t at = 0; at < range.size; at += kReadBlock)
    for (const std::byte octet :
         source.read({range.offset + at, std::min<std::uint64_t>(kReadBlock, range.size - at)}))
      crc = crc >> 8 ^ kTable[(crc ^ static_cast<std::uint32_t>(octet)) & 0xff];
  return ~crc;
}

class JoinedSource final : public ByteSource {
 public:
  JoinedSource(std::string name, std::vector<Piece> pieces)
      : name_(std::move(name)), pieces_(std::move(pieces)), checked_(new std::once_flag[pieces_.size()]) {
    for (const Piece& piece : pieces_) size_ += piece.range.size;
  }
  const std::string& name() const override { return name_; }
  std::uint64_t size() const override { return size_; }
  void check_unchanged() const override {
    for (const Piece& piece : pieces_) piece.source->check_unchanged();
  }

  void read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    if (offset > size_ || out.size() > size_ - offset)
      throw Error(Code::truncated, "more bytes are needed than the joined tensors have").at(offset);
    for (std::size_t i = 0; i < pieces_.size() && !out.empty(); ++i) {
      const Piece& piece = pieces_[i];
      if (offset >= piece.range.size) {
        offset -= piece.range.size;
        continue;
      }
      std::call_once(checked_[i], [&] { check(piece); });
      const auto some =
          static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), piece.range.size - offset));
      piece.source->read_at(piece.range.offset + offset, out.first(some));
      out = out.subspan(some);
      offset = 0;
    }
  }

 private:
  void check(const Piece& piece) const {
    if (piece.crc && crc_of(*piece.source, piece.record) != *piece.crc)
      throw Error(Code::checksum_mismatch, "the bytes of a record of " + name_ + " do not give its CRC-32")
          .at(piece.record.offset);
  }

  std::string name_;
  std::vector<Piece> pieces_;
  std::uint64_t size_ = 0;
  std::unique_ptr<std::once_flag[]> checked_;
};

}  // namespace

std::optional<Piece> piece_of(const Checkpoint& checkpoint, const Tensor& tensor) {
  if (tensor.storage == kNoStorage || tensor.conjugated || tensor.negated ||
      !is_contiguous(checkpoint, tensor))
    return std::nullopt;
  const Storage& storage = checkpoint.storages[tensor.storage];
  const StorageBytes& bytes = storage.bytes;
  if (bytes.compression != Compression::stored || bytes.big_endian || !storage.parts.empty())
    return std::nullopt;
  const std::uint64_t size = info(tensor.dtype).itemsize;
  const ByteRange range{bytes.offset + static_cast<std::uint64_t>(tensor.offset) * size,
                        static_cast<std::uint64_t>(numel(checkpoint, tensor)) * size};
  return Piece{bytes.source, range, {bytes.offset, bytes.size}, bytes.crc};
}

SourcePtr join_pieces(std::string name, std::vector<Piece> pieces) {
  return std::make_shared<JoinedSource>(std::move(name), std::move(pieces));
}

}  // namespace ferry::convert
