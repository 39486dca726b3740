#include "formats/zip/directory.h"

#include <string>

#include "formats/zip/extra.h"
#include "formats/zip/layout.h"
#include "src/core/checked.h"
#include "src/core/error.h"

namespace ferry::zip {
namespace {

// One header of the directory with its name, extra fields and comment.
struct Header {
  Bytes bytes;
  std::uint64_t at = 0;

  std::uint16_t u16(std::size_t field) const { return load_le<std::uint16_t>(&bytes[field]); }
  std::uint32_t u32(std::size_t field) const { return load_le<std::uint32_t>(&bytes[field]); }
  std::size_t size() const {
    return central::kBytes + u16(central::kNameSize) + u16(central::kExtraSize) + u16(central::kCommentSize);
  }
  std::string_view name() const { return as_text(bytes.subspan(central::kBytes, u16(central::kNameSize))); }
  std::size_t extras_begin() const { return central::kBytes + u16(central::kNameSize); }

  [[noreturn]] void fail(Code code, std::string what) const {
    throw Error(code, std::move(what)).at(at).in(in_record(name()));
  }
};

Header read_header(WindowReader& reader, std::uint64_t at, std::uint64_t end) {
  if (end - at < central::kBytes)
    throw Error(Code::bad_zip, "the directory of the zip archive holds fewer records than announced").at(at);
  Header header{reader.view(at, central::kBytes), at};
  if (header.u32(0) != central::kSignature)
    throw Error(Code::bad_zip, "the directory of the zip archive has no record where one should be").at(at);
  const std::size_t size = header.size();
  if (end - at < size)
    throw Error(Code::bad_zip, "a record reaches beyond the directory of the zip archive").at(at);
  header.bytes = reader.view(at, size);
  return header;
}

void check_readable(const Header& header) {
  const std::uint16_t flags = header.u16(central::kFlags);
  if (flags & (flag::kEncrypted | flag::kStrongEncryption | flag::kMaskedHeaders))
    header.fail(Code::unsupported_container, "the record is encrypted");
  if (flags & flag::kPatched)
    header.fail(Code::unsupported_container, "the record is a patch of another file");
  constexpr unsigned kKnown =
      flag::kDeflateOption1 | flag::kDeflateOption2 | flag::kHasDescriptor | flag::kUtf8;
  if (flags & ~kKnown) header.fail(Code::unsupported_container, "the record has unknown flags");
  const std::uint16_t method = header.u16(central::kMethod);
  if (method != kStored && method != kDeflated)
    header.fail(Code::unsupported_container, "the record uses compression method " + std::to_string(method));
}

// A field of the header that the zip64 extra can extend.
struct Extended {
  std::uint64_t value;
  bool saturated;
  std::size_t width;  // bytes of the wide value
};

std::uint64_t load_wide(Bytes data, const Extended& field) {
  return field.width == 8 ? load_le<std::uint64_t>(data.data()) : load_le<std::uint32_t>(data.data());
}

// Replaces each saturated field by the next value of the zip64 extra.  Values beyond those are legal only
// where every reader sees the same: when they continue the order of the fields and repeat what the fields say
// (miniz and Go write such extras).
void resolve_zip64(const Header& header, Bytes wide, std::span<Extended> fields) {
  std::size_t taken = 0;
  for (Extended& field : fields) {
    if (!field.saturated) continue;
    if (wide.size() < field.width)
      header.fail(Code::bad_zip, "the zip64 extra field lacks a value that the header refers to");
    field.value = load_wide(wide, field);
    wide = wide.subspan(field.width);
    ++taken;
  }
  // What is left must repeat the fields after those taken, and those taken must have been the first ones.
  for (std::size_t i = 0; !wide.empty(); ++i) {
    if (i < taken && fields[i].saturated) continue;
    if (i < taken || i == fields.size() || wide.size() < fields[i].width)
      header.fail(Code::bad_zip, "the zip64 extra field has values that the header does not refer to");
    if (load_wide(wide, fields[i]) != fields[i].value)
      header.fail(Code::zip_disagreement, "the zip64 extra field disagrees with the header that it extends");
    wide = wide.subspan(fields[i].width);
  }
}

void read_sizes(const Header& header, Record& record) {
  const std::size_t begin = header.extras_begin();
  const Extras extras = read_extras(header.bytes.subspan(begin, header.u16(central::kExtraSize)), record.name,
                                    header.at + begin);
  const auto field32 = [&](std::size_t field) {
    return Extended{header.u32(field), header.u32(field) == kSaturated32, 8};
  };
  const std::uint16_t disk = header.u16(central::kDisk);
  Extended fields[] = {field32(central::kSize), field32(central::kStoredSize),
                       field32(central::kHeaderOffset), Extended{disk, disk == kSaturated16, 4}};
  // Without a zip64 extra the largest number means itself; no disk but the first means anything.
  if (extras.has_zip64) resolve_zip64(header, extras.zip64, fields);
  record.size = fields[0].value;
  record.stored_size = fields[1].value;
  record.header_offset = fields[2].value;
  if (fields[3].value != 0) header.fail(Code::unsupported_container, "the record lies on another disk");
}

// `limit` is where the directory begins: no record reaches beyond.
void check_sizes(const Header& header, const Record& record, std::uint64_t limit) {
  if (!fits(record.header_offset, local::kBytes, limit) ||
      record.stored_size > limit - record.header_offset - local::kBytes)
    header.fail(Code::bad_zip, "the record, " + std::to_string(record.stored_size) + " bytes from byte " +
                                   std::to_string(record.header_offset) +
                                   ", does not lie before the directory of the zip archive");
  if (record.method == kStored && record.size != record.stored_size)
    header.fail(Code::bad_zip, "the record is stored, but has two sizes: " + std::to_string(record.size) +
                                   " and " + std::to_string(record.stored_size));
  // stored_size is below the size of the file, so the product does not wrap for any file that exists.
  const auto yield_max = checked_mul(record.stored_size, kDeflateRatioMax);
  if (record.method == kDeflated && (!yield_max || record.size > *yield_max))
    header.fail(Code::bad_zip, "the record claims " + std::to_string(record.size) + " bytes, more than " +
                                   std::to_string(record.stored_size) + " deflated bytes can yield");
}

Record read_record(const Header& header, std::uint64_t limit) {
  check_readable(header);
  Record record;
  record.name = header.name();
  record.method = header.u16(central::kMethod);
  record.crc = header.u32(central::kCrc);
  read_sizes(header, record);
  check_sizes(header, record, limit);
  record.crc_computed = record.crc != 0 || record.size == 0;
  return record;
}

}  // namespace

Directory read_directory(const ByteSource& source, const EndRecord& end, const Limits& limits) {
  if (end.count > limits.records_max)
    throw Error(Code::limit_exceeded, "the zip archive has " + std::to_string(end.count) +
                                          " records, the limit is " + std::to_string(limits.records_max))
        .at(end.directory_offset);
  Directory directory;
  const auto count = static_cast<std::size_t>(end.count);
  directory.records.reserve(count);  // find_end has seen that the directory has 46 bytes for each
  directory.flags.reserve(count);
  WindowReader reader(source);
  std::uint64_t at = end.directory_offset;
  const std::uint64_t stop = end.directory_offset + end.directory_size;
  for (std::size_t i = 0; i < count; ++i) {
    const Header header = read_header(reader, at, stop);
    directory.records.push_back(read_record(header, end.directory_offset));
    directory.flags.push_back(header.u16(central::kFlags));
    at += header.bytes.size();
  }
  if (at != stop)
    throw Error(Code::bad_zip, "the directory of the zip archive holds more than the records announced")
        .at(at);
  return directory;
}

void each_name(const ByteSource& source, const std::function<bool(std::string_view)>& take) try {
  const EndRecord end = find_end(source);
  WindowReader reader(source);
  std::uint64_t at = end.directory_offset;
  for (std::uint64_t i = 0; i < end.count; ++i) {
    const Header header = read_header(reader, at, end.directory_offset + end.directory_size);
    if (!take(header.name())) return;
    at += header.bytes.size();
  }
} catch (const Error&) {
  // Whoever opens the archive will say what is wrong with it.
}

}  // namespace ferry::zip
