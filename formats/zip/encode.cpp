#include "formats/zip/encode.h"

#include <algorithm>

#include "formats/zip/layout.h"
#include "formats/zip/record.h"
#include "src/core/bytes.h"
#include "src/core/error.h"

namespace ferry::zip {
namespace {

// PyTorch's miniz asks for nothing in the headers of records, whatever they hold, and for zip64 at the end.
constexpr std::uint16_t kVersionNone = 0, kVersionZip64 = 45, kMadeByUnix = 3 << 8 | 30;
constexpr std::uint16_t kFirstDate = 1 << 5 | 1;  // 1980-01-01, the beginning of time in zip
constexpr std::byte kFiller{'Z'};                 // as PyTorch fills its padding
constexpr std::size_t kEndBytes = end64::kBytes + locator64::kBytes + end::kBytes;
constexpr std::size_t kNameSizeMax = 65000;  // leaves room in 16 bits for whatever a reader adds

// From here on a field of 32 bits holds the mark instead of the number.
bool needs_wide(std::uint64_t number) { return number >= kSaturated32; }

std::uint32_t narrow(std::uint64_t number) {
  return needs_wide(number) ? kSaturated32 : static_cast<std::uint32_t>(number);
}

// Puts numbers in little-endian order, one behind the other.
class Writer {
 public:
  explicit Writer(std::span<std::byte> out) : out_(out) {}
  Writer& u16(std::uint64_t value) { return put(static_cast<std::uint16_t>(value)); }
  Writer& u32(std::uint32_t value) { return put(value); }
  Writer& u64(std::uint64_t value) { return put(value); }
  Writer& text(std::string_view text) {
    const Bytes bytes = as_bytes(text);
    std::copy(bytes.begin(), bytes.end(), take(bytes.size()).begin());
    return *this;
  }
  std::span<std::byte> rest() const { return out_; }

 private:
  template <typename T>
  Writer& put(T value) {
    store_le(take(sizeof(T)).data(), value);
    return *this;
  }
  std::span<std::byte> take(std::size_t size) {
    const std::span<std::byte> taken = out_.first(size);
    out_ = out_.subspan(size);
    return taken;
  }

  std::span<std::byte> out_;
};

// A record without data has no descriptor: its header says all.
std::uint16_t flags_of(const Entry& entry) {
  return entry.size == 0 ? flag::kUtf8 : flag::kUtf8 | flag::kHasDescriptor;
}

// The data of the zip64 extra, in both headers: two sizes when they do not fit, the offset when it does not.
std::size_t zip64_values(std::uint64_t size, std::uint64_t header_offset) {
  return (needs_wide(size) ? 16u : 0u) + (needs_wide(header_offset) ? 8u : 0u);
}
std::size_t zip64_size(std::uint64_t size, std::uint64_t header_offset) {
  const std::size_t values = zip64_values(size, header_offset);
  return values == 0 ? 0 : extra::kHeaderBytes + values;
}

void put_zip64(Writer& out, const Entry& entry, std::uint64_t stored_size) {
  const std::size_t values = zip64_values(entry.size, entry.header_offset);
  if (values != 0) out.u16(extra::kZip64).u16(values);
  if (needs_wide(entry.size)) out.u64(entry.size).u64(stored_size);
  if (needs_wide(entry.header_offset)) out.u64(entry.header_offset);
}

std::uint64_t entries_size(std::span<const Entry> entries) {
  std::uint64_t size = 0;
  for (const Entry& entry : entries)
    size += central::kBytes + entry.name.size() + zip64_size(entry.size, entry.header_offset);
  return size;
}

void put_entry(Writer& out, const Entry& entry) {
  out.u32(central::kSignature).u16(kVersionNone).u16(kVersionNone).u16(flags_of(entry)).u16(kStored);
  out.u16(0).u16(kFirstDate).u32(entry.crc).u32(narrow(entry.size)).u32(narrow(entry.size));
  out.u16(entry.name.size()).u16(zip64_size(entry.size, entry.header_offset)).u16(0);  // no comment
  out.u16(0).u16(0).u32(0).u32(narrow(entry.header_offset)).text(entry.name);          // disk, attributes
  put_zip64(out, entry, entry.size);
}

// Both forms of the end, needed or not.
// numpy knows an archive by its first bytes and takes one without records only where the plain end comes
// first.
std::size_t end_bytes(std::size_t count) { return count == 0 ? end::kBytes : kEndBytes; }

void put_end(Writer& out, std::uint64_t count, std::uint64_t offset, std::uint64_t size) {
  if (count == 0) {
    out.u32(end::kSignature).u64(0).u32(0).u32(narrow(offset)).u16(0);
    return;
  }
  out.u32(end64::kSignature).u64(end64::kRecordSizeValue).u16(kMadeByUnix).u16(kVersionZip64);
  out.u32(0).u32(0).u64(count).u64(count).u64(size).u64(offset);
  out.u32(locator64::kSignature).u32(0).u64(offset + size).u32(1);
  const std::uint64_t shown = std::min<std::uint64_t>(count, kSaturated16);
  out.u32(end::kSignature).u16(0).u16(0).u16(shown).u16(shown).u32(narrow(size)).u32(narrow(offset)).u16(0);
}

}  // namespace

std::uint64_t local_header_size(std::string_view name, std::uint64_t size, std::uint64_t header_offset) {
  if (name.size() > kNameSizeMax)
    throw Error(Code::limit_exceeded, "the name of a record is longer than 65,000 bytes").in(in_record(name));
  // The padding field is always there, if only with no bytes in it.
  const std::uint64_t least =
      local::kBytes + name.size() + zip64_size(size, header_offset) + extra::kHeaderBytes;
  const std::uint64_t over = (header_offset + least) % kDataAlignment;
  return least + (over == 0 ? 0 : kDataAlignment - over);
}

std::uint64_t descriptor_size(std::uint64_t size, std::uint64_t header_offset) {
  if (size == 0) return 0;
  return zip64_values(size, header_offset) != 0 ? descriptor::kBytesMax : descriptor::kBytesMax - 8;
}

void put_local_header(const Entry& entry, std::span<std::byte> out) {
  Writer writer(out);
  writer.u32(local::kSignature).u16(kVersionNone).u16(flags_of(entry)).u16(kStored);
  writer.u16(0).u16(kFirstDate).u32(0).u32(0).u32(0);  // CRC and sizes follow the data
  writer.u16(entry.name.size()).u16(out.size() - local::kBytes - entry.name.size()).text(entry.name);
  put_zip64(writer, entry, 0);
  writer.u16(extra::kPadding);
  writer.u16(writer.rest().size() - sizeof(std::uint16_t));
  std::fill(writer.rest().begin(), writer.rest().end(), kFiller);
}

void put_descriptor(const Entry& entry, std::span<std::byte> out) {
  if (entry.size == 0) return;
  Writer writer(out);
  writer.u32(descriptor::kSignature).u32(entry.crc);
  if (zip64_values(entry.size, entry.header_offset) != 0)
    writer.u64(entry.size).u64(entry.size);
  else
    writer.u32(narrow(entry.size)).u32(narrow(entry.size));
}

std::vector<std::byte> local_header(const Entry& entry) {
  std::vector<std::byte> bytes(
      static_cast<std::size_t>(local_header_size(entry.name, entry.size, entry.header_offset)));
  put_local_header(entry, bytes);
  return bytes;
}

std::vector<std::byte> data_descriptor(const Entry& entry) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(descriptor_size(entry.size, entry.header_offset)));
  put_descriptor(entry, bytes);
  return bytes;
}

std::vector<std::byte> directory(std::span<const Entry> entries, std::uint64_t offset) {
  const std::uint64_t size = entries_size(entries);
  std::vector<std::byte> bytes(static_cast<std::size_t>(size + end_bytes(entries.size())));
  Writer out(bytes);
  for (const Entry& entry : entries) put_entry(out, entry);
  put_end(out, entries.size(), offset, size);
  return bytes;
}

std::uint64_t directory_size(std::span<const Entry> entries) {
  return entries_size(entries) + end_bytes(entries.size());
}

}  // namespace ferry::zip
