#include "formats/zip/local.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "formats/zip/extra.h"
#include "formats/zip/layout.h"
#include "src/core/error.h"

namespace ferry::zip {
namespace {

// Headers nearer to each other than this are read together, data between them included.
constexpr std::uint64_t kNear = 4 << 10;
constexpr std::size_t kRunMax = 256 << 10;
// Room for a descriptor and the header after it, with a name and padding of ordinary length.
constexpr std::size_t kWindow = 512;

// What a header says about sizes, with the zip64 extra taken in.
class LocalHeader {
 public:
  LocalHeader(WindowReader& reader, const Record& record, std::uint64_t limit)
      : record_(record), bytes_(reader.view(record.header_offset, local::kBytes)) {
    if (u32(0) != local::kSignature) fail(Code::bad_zip, "there is no header where the directory says");
    const std::size_t size = local::kBytes + u16(local::kNameSize) + u16(local::kExtraSize);
    if (size > limit - record.header_offset) fail(Code::bad_zip, "the header reaches into the directory");
    bytes_ = reader.view(record.header_offset, size);
  }

  std::uint64_t data_offset() const { return record_.header_offset + bytes_.size(); }

  void check(std::uint16_t flags) const {
    if (as_text(bytes_.subspan(local::kBytes, u16(local::kNameSize))) != record_.name) disagree("name");
    if (u16(local::kFlags) != flags) disagree("flags");
    if (u16(local::kMethod) != record_.method) disagree("compression method");
    const bool deferred = (flags & flag::kHasDescriptor) != 0;
    if (u32(local::kCrc) != record_.crc && !(deferred && u32(local::kCrc) == 0)) disagree("CRC");
    check_sizes(deferred);
  }

 private:
  std::uint16_t u16(std::size_t field) const { return load_le<std::uint16_t>(&bytes_[field]); }
  std::uint32_t u32(std::size_t field) const { return load_le<std::uint32_t>(&bytes_[field]); }

  // A size is said in 32 bits, or in the zip64 extra and referred to; `deferred` ones may also be 0.  An
  // extra that nothing refers to must still be true: numpy writes it always, miniz also with an offset and
  // nothing else.
  void check_sizes(bool deferred) const {
    const std::size_t begin = local::kBytes + u16(local::kNameSize);
    const Extras extras = read_extras(bytes_.subspan(begin), record_.name, record_.header_offset + begin);
    const Bytes wide = extras.zip64;
    if (wide.size() % 8 != 0 || wide.size() > 24)
      fail(Code::bad_zip, "the zip64 extra field has an impossible size");
    const bool has_sizes = wide.size() >= 16, has_offset = wide.size() % 16 == 8;
    const auto agree = [&](std::uint64_t said, std::uint64_t truth) {
      return said == truth || (deferred && said == 0);
    };
    const auto agree32 = [&](std::uint32_t said, std::uint64_t truth) {
      return agree(said, truth) || (has_sizes && said == kSaturated32);
    };
    if (!agree32(u32(local::kSize), record_.size)) disagree("size");
    if (!agree32(u32(local::kStoredSize), record_.stored_size)) disagree("stored size");
    if (has_sizes && !agree(load_le<std::uint64_t>(&wide[0]), record_.size)) disagree("zip64 size");
    if (has_sizes && !agree(load_le<std::uint64_t>(&wide[8]), record_.stored_size))
      disagree("zip64 stored size");
    if (has_offset && load_le<std::uint64_t>(&wide[wide.size() - 8]) != record_.header_offset)
      disagree("zip64 offset");
  }

  [[noreturn]] void fail(Code code, std::string what) const {
    throw Error(code, std::move(what)).at(record_.header_offset).in(in_record(record_.name));
  }
  [[noreturn]] void disagree(const char* what) const {
    fail(Code::zip_disagreement,
         std::string("the directory and the header beside the data disagree on the record's ") + what);
  }

  const Record& record_;
  Bytes bytes_;
};

// The size of a data descriptor that says what the directory says, in one of its four forms, or 0.  Writers
// choose the form by rules of their own, so the shortest that fits is taken.
std::size_t match_descriptor(Bytes at, const Record& record) {
  for (const std::size_t width : {4, 8})
    for (const std::size_t begin : {4, 0}) {
      const std::size_t size = begin + 4 + 2 * width;
      if (size > at.size()) continue;
      if (begin != 0 && load_le<std::uint32_t>(at.data()) != descriptor::kSignature) continue;
      const auto number = [&](std::size_t field) {
        return width == 4 ? load_le<std::uint32_t>(&at[field]) : load_le<std::uint64_t>(&at[field]);
      };
      if (load_le<std::uint32_t>(&at[begin]) == record.crc && number(begin + 4) == record.stored_size &&
          number(begin + 4 + width) == record.size)
        return size;
    }
  return 0;
}

// Where the record ends, its descriptor included; `next` is where the next one begins.
std::uint64_t end_of(WindowReader& reader, const Record& record, bool has_descriptor, std::uint64_t next) {
  if (record.data_offset > next || record.stored_size > next - record.data_offset)
    throw Error(Code::bad_zip, "the record overlaps what follows at byte " + std::to_string(next))
        .at(record.header_offset)
        .in(in_record(record.name));
  const std::uint64_t data_end = record.data_offset + record.stored_size;
  if (!has_descriptor) return data_end;
  const auto room = static_cast<std::size_t>(std::min<std::uint64_t>(next - data_end, descriptor::kBytesMax));
  const std::size_t size = match_descriptor(reader.view(data_end, room), record);
  if (size == 0)
    throw Error(Code::zip_disagreement,
                "no data descriptor that agrees with the directory follows the record")
        .at(data_end)
        .in(in_record(record.name));
  return data_end + size;
}

std::vector<std::uint32_t> order_of_file(const std::vector<Record>& records) {
  std::vector<std::uint32_t> order(records.size());
  std::iota(order.begin(), order.end(), 0u);
  const auto before = [&](std::uint32_t a, std::uint32_t b) {
    return records[a].header_offset < records[b].header_offset;
  };
  if (!std::is_sorted(order.begin(), order.end(), before))
    std::stable_sort(order.begin(), order.end(), before);
  return order;
}

}  // namespace

std::uint64_t check_local_headers(const ByteSource& source, Directory& directory, std::uint64_t limit) {
  const std::vector<std::uint32_t> order = order_of_file(directory.records);
  const auto begin_of = [&](std::size_t i) {
    return i == order.size() ? limit : directory.records[order[i]].header_offset;
  };
  // One past the last header of the run that begins with header `i`.
  const auto end_of_run = [&](std::size_t i) {
    const std::uint64_t begin = begin_of(i);
    while (++i < order.size() && begin_of(i) - begin_of(i - 1) <= kNear && begin_of(i) - begin <= kRunMax)
      continue;
    return i;
  };
  WindowReader reader(source, kWindow);
  std::uint64_t listed = 0;
  std::size_t run_end = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::uint64_t begin = begin_of(i), next = begin_of(i + 1);
    if (i == run_end) {
      run_end = end_of_run(i);
      // The buffer of the reader keeps the run until something beyond it is asked for.
      const std::uint64_t stop = std::min(begin_of(run_end - 1) + kWindow, limit);
      if (run_end > i + 1) reader.view(begin, static_cast<std::size_t>(stop - begin));
    }
    Record& record = directory.records[order[i]];
    const std::uint16_t flags = directory.flags[order[i]];
    const LocalHeader header(reader, record, limit);
    header.check(flags);
    record.data_offset = header.data_offset();
    listed += end_of(reader, record, (flags & flag::kHasDescriptor) != 0, next) - begin;
  }
  return limit - listed;
}

std::string first_record_name(const ByteSource& source) {
  if (source.size() < local::kBytes) return "";
  const auto head = source.read({0, local::kBytes});
  if (load_le<std::uint32_t>(head.data()) != local::kSignature) return "";
  const std::uint64_t size = load_le<std::uint16_t>(&head[local::kNameSize]);
  const auto name = source.read({local::kBytes, std::min(size, source.size() - local::kBytes)});
  return std::string(as_text(Bytes(name)));
}

}  // namespace ferry::zip
