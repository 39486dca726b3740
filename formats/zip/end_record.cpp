#include "formats/zip/end_record.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "formats/zip/layout.h"
#include "src/core/checked.h"
#include "src/core/error.h"

namespace ferry::zip {
namespace {

constexpr std::size_t kCommentSizeMax = 65535;
constexpr std::string_view kEndMagic("PK\5\6", 4);
constexpr std::string_view kLocalMagic("PK\3\4", 4);

// The last bytes of a file, in which an end record must lie.
struct Tail {
  std::uint64_t offset = 0;  // of the first byte in the file
  std::vector<std::byte> bytes;

  std::string_view text() const { return as_text(bytes); }
  // The place of the last end record before `limit`, whole but for its comment.
  std::size_t find_last(std::size_t limit = std::string_view::npos) const {
    if (bytes.size() < end::kBytes || limit == 0) return std::string_view::npos;
    return text().rfind(kEndMagic, std::min(limit - 1, bytes.size() - end::kBytes));
  }
  // True when the record at `place`, with its comment, ends exactly at the end of the file.
  bool reaches_end(std::size_t place) const {
    return place + end::kBytes + load_le<std::uint16_t>(&bytes[place + end::kCommentSize]) == bytes.size();
  }
};

Tail read_tail(const ByteSource& source) {
  const auto size = std::min<std::uint64_t>(source.size(), end::kBytes + kCommentSizeMax);
  const std::uint64_t offset = source.size() - size;
  return {offset, source.read({offset, size})};
}

// Returns the place of the end record in the tail.
std::size_t find_only_end(const Tail& tail) {
  const std::size_t place = tail.find_last();
  if (place == std::string_view::npos)
    throw Error(Code::truncated, "the zip archive has no end record: the file is cut short")
        .at(tail.offset + tail.bytes.size());
  if (!tail.reaches_end(place)) {
    const std::size_t stop =
        place + end::kBytes + load_le<std::uint16_t>(&tail.bytes[place + end::kCommentSize]);
    if (stop > tail.bytes.size())
      throw Error(Code::truncated, "the comment of the zip archive is longer than the file")
          .at(tail.offset + place);
    throw Error(Code::bad_zip,
                std::to_string(tail.bytes.size() - stop) + " bytes follow the end of the zip archive")
        .at(tail.offset + stop);
  }
  // A reader that trusts comment lengths takes the first record that reaches the end, one that searches
  // backwards the last; they must be the same.  Archives inside stored records have end records too, but
  // those end elsewhere.
  for (std::size_t other = tail.find_last(place); other != std::string_view::npos;
       other = tail.find_last(other))
    if (tail.reaches_end(other))
      throw Error(Code::bad_zip, "the zip archive has two end records").at(tail.offset + other);
  return place;
}

struct Numbers {
  std::uint64_t disk, directory_disk, count_here, count, directory_size, directory_offset;
};

Numbers numbers_of_end(Bytes at) {
  return {
      load_le<std::uint16_t>(&at[end::kDisk]),          load_le<std::uint16_t>(&at[end::kDirectoryDisk]),
      load_le<std::uint16_t>(&at[end::kCountHere]),     load_le<std::uint16_t>(&at[end::kCount]),
      load_le<std::uint32_t>(&at[end::kDirectorySize]), load_le<std::uint32_t>(&at[end::kDirectoryOffset])};
}

Numbers numbers_of_end64(Bytes at) {
  return {load_le<std::uint32_t>(&at[end64::kDisk]),
          load_le<std::uint32_t>(&at[end64::kDirectoryDisk]),
          load_le<std::uint64_t>(&at[end64::kCountHere]),
          load_le<std::uint64_t>(&at[end64::kCount]),
          load_le<std::uint64_t>(&at[end64::kDirectorySize]),
          load_le<std::uint64_t>(&at[end64::kDirectoryOffset])};
}

// Where the zip64 end record begins, given where the end record does; nullopt when there is no locator.  The
// record must stand right before its locator: some readers follow the locator's offset, some just step back
// 56 bytes.
std::optional<std::uint64_t> find_end64(const ByteSource& source, std::uint64_t end_offset) {
  if (end_offset < locator64::kBytes) return std::nullopt;
  const std::uint64_t at = end_offset - locator64::kBytes;
  std::array<std::byte, locator64::kBytes> locator;
  source.read_at(at, locator);
  if (load_le<std::uint32_t>(locator.data()) != locator64::kSignature) return std::nullopt;
  if (load_le<std::uint32_t>(&locator[locator64::kDisk]) != 0 ||
      load_le<std::uint32_t>(&locator[locator64::kDiskCount]) != 1)
    throw Error(Code::unsupported_container, "the zip archive spans several disks").at(at);
  const auto begin = load_le<std::uint64_t>(&locator[locator64::kEndOffset]);
  if (at < end64::kBytes || begin != at - end64::kBytes)
    throw Error(Code::bad_zip, "the zip64 locator does not point at the record before it").at(at);
  return begin;
}

Numbers read_end64(const ByteSource& source, std::uint64_t offset) {
  std::array<std::byte, end64::kBytes> record;
  source.read_at(offset, record);
  if (load_le<std::uint32_t>(record.data()) != end64::kSignature)
    throw Error(Code::bad_zip, "the zip64 locator points at no zip64 end record").at(offset);
  if (load_le<std::uint64_t>(&record[end64::kRecordSize]) != end64::kRecordSizeValue)
    throw Error(Code::bad_zip, "the zip64 end record has an impossible size").at(offset);
  return numbers_of_end64(record);
}

// Both records speak of one directory: a field of the old one either agrees with the new one or defers to it.
void check_agreement(const Numbers& old, const Numbers& wide, std::uint64_t at) {
  const auto defers = [](std::uint64_t value, std::uint64_t saturated, std::uint64_t truth) {
    return value == truth || value == saturated;
  };
  if (!defers(old.disk, kSaturated16, wide.disk) ||
      !defers(old.directory_disk, kSaturated16, wide.directory_disk) ||
      !defers(old.count_here, kSaturated16, wide.count_here) ||
      !defers(old.count, kSaturated16, wide.count) ||
      !defers(old.directory_size, kSaturated32, wide.directory_size) ||
      !defers(old.directory_offset, kSaturated32, wide.directory_offset))
    throw Error(Code::zip_disagreement, "the two end records of the zip archive disagree").at(at);
}

// `begin` is where the end records begin, `at` where the numbers stand.
EndRecord check_numbers(const Numbers& said, std::uint64_t begin, std::uint64_t at) {
  if (said.disk != 0 || said.directory_disk != 0)
    throw Error(Code::unsupported_container, "the zip archive spans several disks").at(at);
  if (said.count_here != said.count)
    throw Error(Code::bad_zip, "the end record gives two different numbers of records").at(at);
  const auto stop = checked_add(said.directory_offset, said.directory_size);
  if (!stop || *stop != begin)
    throw Error(Code::bad_zip, "the directory of the zip archive (" + std::to_string(said.directory_size) +
                                   " bytes from byte " + std::to_string(said.directory_offset) +
                                   ") does not end where the end record begins, at byte " +
                                   std::to_string(begin))
        .at(at);
  if (said.count > said.directory_size / central::kBytes)
    throw Error(Code::bad_zip, "the end record announces " + std::to_string(said.count) +
                                   " records, more than a directory of " +
                                   std::to_string(said.directory_size) + " bytes can list")
        .at(at);
  return {said.count, said.directory_offset, said.directory_size};
}

// Four bytes can stand anywhere by chance; these twelve hardly can.
bool is_plausible_end(const Tail& tail, std::size_t place) {
  const Numbers numbers = numbers_of_end(Bytes(tail.bytes).subspan(place));
  return numbers.disk == numbers.directory_disk && (numbers.disk == 0 || numbers.disk == kSaturated16) &&
         numbers.count == numbers.count_here;
}

}  // namespace

Likeness looks_like_zip(const ByteSource& source) {
  std::array<std::byte, kLocalMagic.size()> head;
  if (source.size() < head.size()) return {false, "it is too short for a zip archive"};
  source.read_at(0, head);
  if (as_text(head) == kLocalMagic) return {true, "it begins with a zip header"};
  const Tail tail = read_tail(source);
  for (std::size_t at = tail.find_last(); at != std::string_view::npos; at = tail.find_last(at))
    if (tail.reaches_end(at) || is_plausible_end(tail, at))
      return {true, "a zip archive ends at byte " + std::to_string(tail.offset + at + end::kBytes)};
  return {false, "it neither begins nor ends like a zip archive"};
}

EndRecord find_end(const ByteSource& source) {
  const Tail tail = read_tail(source);
  const std::size_t place = find_only_end(tail);
  const std::uint64_t at = tail.offset + place;
  const Numbers old = numbers_of_end(Bytes(tail.bytes).subspan(place));
  const auto wide_at = find_end64(source, at);
  if (!wide_at) return check_numbers(old, at, at);
  const Numbers wide = read_end64(source, *wide_at);
  check_agreement(old, wide, at);
  return check_numbers(wide, *wide_at, *wide_at);
}

}  // namespace ferry::zip
