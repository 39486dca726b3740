#include "formats/zip/encode.h"

#include <algorithm>

#include "formats/zip/layout.h"
#include "formats/zip/record.h"
#include "src/core/bytes.h"
#include "src/core/error.h"

namespace ferry::zip {
namespace {

constexpr std::uint16_t kVersionPlain = 20, kVersionZip64 = 45;
constexpr std::uint16_t kFirstDate = 1 << 5 | 1;  // 1980-01-01, the beginning of time in zip
constexpr std::byte kFiller{'Z'};                 // as PyTorch fills its padding
constexpr std::size_t kNameSizeMax = 65000;       // leaves room in 16 bits for whatever a reader adds

// From here on a field of 32 bits holds the mark instead of the number.
bool needs_wide(std::uint64_t number) { return number >= kSaturated32; }
bool needs_wide_count(std::uint64_t count) { return count >= kSaturated16; }

std::uint32_t narrow(std::uint64_t number) {
  return needs_wide(number) ? kSaturated32 : static_cast<std::uint32_t>(number);
}

std::uint16_t version_of(std::uint64_t size, std::uint64_t header_offset) {
  return needs_wide(size) || needs_wide(header_offset) ? kVersionZip64 : kVersionPlain;
}

// Appends numbers in little-endian order.
class Writer {
 public:
  explicit Writer(std::vector<std::byte>& out) : out_(out) {}
  template <typename T>
  Writer& put(T value) {
    out_.resize(out_.size() + sizeof(T));
    store_le(out_.data() + out_.size() - sizeof(T), value);
    return *this;
  }
  Writer& u16(std::uint64_t value) { return put(static_cast<std::uint16_t>(value)); }
  Writer& u32(std::uint32_t value) { return put(value); }
  Writer& u64(std::uint64_t value) { return put(value); }
  Writer& text(std::string_view text) {
    const Bytes bytes = as_bytes(text);
    out_.insert(out_.end(), bytes.begin(), bytes.end());
    return *this;
  }

 private:
  std::vector<std::byte>& out_;
};

std::uint16_t flags_of(std::string_view name) {
  const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
  return std::all_of(name.begin(), name.end(), is_ascii) ? 0 : flag::kUtf8;
}

// Both sizes stand in the zip64 extra of a local header, or neither (APPNOTE 4.5.3).
std::size_t local_zip64_size(std::uint64_t size) { return needs_wide(size) ? extra::kHeaderBytes + 16 : 0; }

// The data of the zip64 extra of a directory entry: as many values as the entry refers to.
std::size_t central_zip64_values(const Entry& entry) {
  return (needs_wide(entry.size) ? 16u : 0u) + (needs_wide(entry.header_offset) ? 8u : 0u);
}

std::size_t central_size(const Entry& entry) {
  const std::size_t values = central_zip64_values(entry);
  return central::kBytes + entry.name.size() + (values == 0 ? 0 : extra::kHeaderBytes + values);
}

std::size_t end_size(std::uint64_t count, std::uint64_t offset, std::uint64_t size) {
  const bool wide = needs_wide_count(count) || needs_wide(offset) || needs_wide(size);
  return end::kBytes + (wide ? end64::kBytes + locator64::kBytes : 0);
}

std::uint64_t entries_size(std::span<const Entry> entries) {
  std::uint64_t size = 0;
  for (const Entry& entry : entries) size += central_size(entry);
  return size;
}

void put_entry(Writer& out, const Entry& entry) {
  const std::uint16_t version = version_of(entry.size, entry.header_offset);
  const std::size_t values = central_zip64_values(entry);
  out.u32(central::kSignature).u16(version).u16(version).u16(flags_of(entry.name)).u16(kStored);
  out.u16(0).u16(kFirstDate).u32(entry.crc).u32(narrow(entry.size)).u32(narrow(entry.size));
  out.u16(entry.name.size()).u16(values == 0 ? 0 : extra::kHeaderBytes + values).u16(0);  // no comment
  out.u16(0).u16(0).u32(0).u32(narrow(entry.header_offset)).text(entry.name);             // disk, attributes
  if (values != 0) out.u16(extra::kZip64).u16(values);
  if (needs_wide(entry.size)) out.u64(entry.size).u64(entry.size);
  if (needs_wide(entry.header_offset)) out.u64(entry.header_offset);
}

void put_end64(Writer& out, std::uint64_t count, std::uint64_t offset, std::uint64_t size) {
  out.u32(end64::kSignature).u64(end64::kRecordSizeValue).u16(kVersionZip64).u16(kVersionZip64);
  out.u32(0).u32(0).u64(count).u64(count).u64(size).u64(offset);
  out.u32(locator64::kSignature).u32(0).u64(offset + size).u32(1);
}

void put_end(Writer& out, std::uint64_t count, std::uint64_t offset, std::uint64_t size) {
  if (end_size(count, offset, size) != end::kBytes) put_end64(out, count, offset, size);
  const std::uint64_t shown = needs_wide_count(count) ? kSaturated16 : count;
  out.u32(end::kSignature).u16(0).u16(0).u16(shown).u16(shown).u32(narrow(size)).u32(narrow(offset)).u16(0);
}

}  // namespace

std::uint64_t local_header_size(std::string_view name, std::uint64_t size, std::uint64_t header_offset) {
  if (name.size() > kNameSizeMax)
    throw Error(Code::limit_exceeded, "the name of a record is longer than 65,000 bytes").in(in_record(name));
  // The padding field is always there, if only with no bytes in it: PyTorch does the same.
  const std::uint64_t least = local::kBytes + name.size() + local_zip64_size(size) + extra::kHeaderBytes;
  const std::uint64_t over = (header_offset + least) % kDataAlignment;
  return least + (over == 0 ? 0 : kDataAlignment - over);
}

std::vector<std::byte> local_header(const Entry& entry) {
  const auto total = static_cast<std::size_t>(local_header_size(entry.name, entry.size, entry.header_offset));
  std::vector<std::byte> header;
  header.reserve(total);
  Writer out(header);
  out.u32(local::kSignature)
      .u16(version_of(entry.size, entry.header_offset))
      .u16(flags_of(entry.name))
      .u16(kStored);
  out.u16(0).u16(kFirstDate).u32(entry.crc).u32(narrow(entry.size)).u32(narrow(entry.size));
  out.u16(entry.name.size()).u16(total - local::kBytes - entry.name.size()).text(entry.name);
  if (needs_wide(entry.size)) out.u16(extra::kZip64).u16(16).u64(entry.size).u64(entry.size);
  const std::size_t filler = total - header.size() - extra::kHeaderBytes;
  out.u16(extra::kPadding).u16(filler);
  header.resize(total, kFiller);
  return header;
}

void patch_crc(std::span<std::byte> header, std::uint32_t crc) { store_le(&header[local::kCrc], crc); }

std::vector<std::byte> directory(std::span<const Entry> entries, std::uint64_t offset) {
  std::vector<std::byte> bytes;
  bytes.reserve(static_cast<std::size_t>(directory_size(entries, offset)));
  Writer out(bytes);
  for (const Entry& entry : entries) put_entry(out, entry);
  put_end(out, entries.size(), offset, bytes.size());
  return bytes;
}

std::uint64_t directory_size(std::span<const Entry> entries, std::uint64_t offset) {
  const std::uint64_t size = entries_size(entries);
  return size + end_size(entries.size(), offset, size);
}

}  // namespace ferry::zip
