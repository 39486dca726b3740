#include "formats/copy/storage_stream.h"

#include <algorithm>

#include "formats/zip/crc32.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::copy {

zip::Record record_of(const Storage& storage) {
  zip::Record record;
  record.name = storage.key;
  record.method = zip::kDeflated;
  record.crc = storage.bytes.crc.value_or(0);
  record.crc_computed = storage.bytes.crc.has_value();
  record.stored_size = storage.bytes.stored_size;
  record.size = storage.bytes.size;
  record.data_offset = storage.bytes.offset;
  return record;
}

StorageStream::StorageStream(const Storage& storage) : storage_(storage) {
  if (storage.bytes.compression == Compression::stored) return;
  record_ = record_of(storage);
  inflate_.emplace(*storage.bytes.source, record_);
}

void StorageStream::read(std::span<std::byte> out) {
  if (inflate_) {
    inflate_->read(out);
    if (inflate_->bytes_left() == 0) inflate_->finish();
  } else {
    storage_.bytes.source->read_at(storage_.bytes.offset + at_, out);
    crc_ = zip::crc32(crc_, out);
    if (at_ + out.size() == storage_.bytes.size) check_storage_crc(storage_, crc_);
  }
  at_ += out.size();
  if (storage_.bytes.big_endian) swap_bytes(out, info(storage_.dtype).swap_unit);
}

bool is_plain(const Storage& storage) {
  return storage.parts.empty() && storage.bytes.compression == Compression::stored &&
         !storage.bytes.big_endian;
}

void swap_bytes(std::span<std::byte> bytes, std::size_t unit) {
  for (std::size_t i = 0; i + unit <= bytes.size(); i += unit)
    std::reverse(bytes.begin() + static_cast<std::ptrdiff_t>(i),
                 bytes.begin() + static_cast<std::ptrdiff_t>(i + unit));
}

void check_storage_crc(const Storage& storage, std::uint32_t crc) {
  if (!storage.bytes.crc || *storage.bytes.crc == crc) return;
  throw Error(Code::checksum_mismatch, "the bytes of storage " + quote(storage.key) +
                                           " do not give the CRC-32 that was stored with them")
      .at(storage.bytes.offset)
      .of(storage.bytes.source->name());
}

}  // namespace ferry::copy
