#include "formats/zip/recover.h"

#include <algorithm>

#include "formats/zip/archive.h"
#include "formats/zip/directory.h"
#include "formats/zip/extra.h"
#include "formats/zip/layout.h"
#include "src/core/checked.h"
#include "src/core/text.h"

namespace ferry::zip {
namespace {

// A local header that can be read.
struct Header {
  Record record;  // sizes and CRC as the header has them
  bool has_descriptor = false;
};

// The longest names and extra fields that are looked at: a storage has a short name, and the padding in front
// of its data stays below its alignment.
constexpr std::size_t kNameMax = 1024, kExtraMax = 16 << 10;

// nullopt for what is no header, or one of a kind that is not read.
std::optional<Header> read_header(WindowReader& reader, std::uint64_t at) {
  if (!fits(at, local::kBytes, reader.size())) return std::nullopt;
  Bytes bytes = reader.view(at, local::kBytes);
  const auto u16 = [&](std::size_t field) { return load_le<std::uint16_t>(&bytes[field]); };
  const auto u32 = [&](std::size_t field) { return load_le<std::uint32_t>(&bytes[field]); };
  const std::size_t name_size = u16(local::kNameSize), extra_size = u16(local::kExtraSize);
  constexpr std::uint16_t kKnown =
      flag::kDeflateOption1 | flag::kDeflateOption2 | flag::kHasDescriptor | flag::kUtf8;
  if (u32(0) != local::kSignature || (u16(local::kFlags) & ~kKnown) != 0 || name_size == 0 ||
      name_size > kNameMax || extra_size > kExtraMax ||
      (u16(local::kMethod) != kStored && u16(local::kMethod) != kDeflated) ||
      !fits(at + local::kBytes, name_size + extra_size, reader.size()))
    return std::nullopt;
  bytes = reader.view(at, local::kBytes + name_size);
  Header header;
  header.has_descriptor = (u16(local::kFlags) & flag::kHasDescriptor) != 0;
  Record& record = header.record;
  record.name = as_text(bytes.subspan(local::kBytes, name_size));
  record.method = u16(local::kMethod);
  record.crc = u32(local::kCrc);
  record.stored_size = u32(local::kStoredSize);
  record.size = u32(local::kSize);
  record.header_offset = at;
  record.data_offset = at + local::kBytes + name_size + extra_size;
  return header;
}

// Sizes that the header leaves to its zip64 extra; false when it has none.
bool read_wide_sizes(WindowReader& reader, Record& record) {
  if (record.size != kSaturated32 && record.stored_size != kSaturated32) return true;
  const std::uint64_t begin = record.header_offset + local::kBytes + record.name.size();
  try {
    const Bytes extra = reader.view(begin, static_cast<std::size_t>(record.data_offset - begin));
    const Extras extras = read_extras(extra, record.name, begin);
    if (extras.zip64.size() < 16) return false;
    if (record.size == kSaturated32) record.size = load_le<std::uint64_t>(&extras.zip64[0]);
    if (record.stored_size == kSaturated32) record.stored_size = load_le<std::uint64_t>(&extras.zip64[8]);
    return true;
  } catch (const Error&) {
    return false;
  }
}

// Sizes that can be true of a record, wherever it lies.
bool can_be(const Record& record) {
  return record.method == kStored ? record.size == record.stored_size
                                  : record.size / kDeflateRatioMax <= record.stored_size;
}

void set_crc(Record& record, std::uint32_t crc) {
  record.crc = crc;
  record.crc_computed = crc != 0 || record.size == 0;
}

// --- with the directory

// No byte may belong to two records; which of them owns it cannot be said.
void drop_overlapping(Recovered& found) {
  std::sort(found.records.begin(), found.records.end(),
            [](const Record& a, const Record& b) { return a.header_offset < b.header_offset; });
  std::vector<Record> apart;
  std::uint64_t end = 0;
  for (Record& record : found.records) {
    if (record.header_offset < end) {
      found.broken.push_back({record.name, "it overlaps the record before it", record.header_offset});
      continue;
    }
    end = record.data_offset + record.stored_size;
    apart.push_back(std::move(record));
  }
  found.records = std::move(apart);
}

// What the directory announces, as far as the headers beside the data say the same.
bool recover_by_directory(const ByteSource& source, const Limits& limits, Recovered& found) {
  Directory directory;
  EndRecord end;
  try {
    end = find_end(source);
    directory = read_directory(source, end, limits);
  } catch (const Error& error) {
    if (error.fault() != Fault::corrupt) throw;
    return false;
  }
  WindowReader reader(source, 4096);
  for (Record& record : directory.records) {
    const auto header = read_header(reader, record.header_offset);
    const bool fit = header && header->record.name == record.name && header->record.method == record.method &&
                     header->record.data_offset <= end.directory_offset &&
                     record.stored_size <= end.directory_offset - header->record.data_offset;
    if (!fit) {
      if (header && header->record.name != record.name)  // either may be the true one
        found.broken.push_back(
            {header->record.name, "the directory gives it another name", record.header_offset});
      found.broken.push_back(
          {record.name, "the header in front of its data is damaged", record.header_offset});
      continue;
    }
    record.data_offset = header->record.data_offset;
    found.records.push_back(std::move(record));
  }
  drop_overlapping(found);
  return true;
}

// --- without it

// Where signatures stand in the file.  Those of descriptors are kept by the place where the data that they
// describe must begin: a descriptor says how long its record is.
struct Landmarks {
  struct Descriptor {
    std::uint64_t data_offset;  // of the record that it describes
    std::uint64_t stored_size, size;
    std::uint32_t crc;
    std::uint32_t bytes;
  };
  std::vector<std::uint64_t> headers;
  std::vector<Descriptor> descriptors;          // by data_offset
  std::uint64_t directory = ~std::uint64_t{0};  // the last place that looks like the begin of one
};

class LandmarkSearch {
 public:
  LandmarkSearch(const ByteSource& source, const Limits& limits) : source_(source), limits_(limits) {}

  Landmarks run() {
    std::vector<std::byte> block;
    for (std::uint64_t begin = 0; begin < source_.size(); begin += kReadBlock) {
      // A signature and its fields may reach into the next block.
      const std::uint64_t size =
          std::min<std::uint64_t>(kReadBlock + descriptor::kBytesMax, source_.size() - begin);
      block.resize(static_cast<std::size_t>(size));
      source_.read_at(begin, block);
      search(begin, block);
    }
    std::stable_sort(found_.descriptors.begin(), found_.descriptors.end(),
                     [](const auto& a, const auto& b) { return a.data_offset < b.data_offset; });
    return std::move(found_);
  }

 private:
  void search(std::uint64_t begin, Bytes block) {
    const std::string_view text = as_text(block);
    for (std::size_t at = text.find("PK"); at < kReadBlock; at = text.find("PK", at + 1)) {
      if (at + 4 > block.size()) return;
      const auto signature = load_le<std::uint32_t>(&block[at]);
      if (signature == local::kSignature) {
        check_limit(found_.headers.size());
        found_.headers.push_back(begin + at);
      }
      if (signature == central::kSignature && found_.directory > begin + at) found_.directory = begin + at;
      if (signature == descriptor::kSignature) add_descriptor(begin + at, block.subspan(at));
    }
  }

  void check_limit(std::size_t count) const {
    if (count >= limits_.records_max)
      throw Error(Code::limit_exceeded,
                  "the archive has more than " + grouped(limits_.records_max) + " signatures of records");
  }

  // Sizes of 4 bytes or of 8.
  void add_descriptor(std::uint64_t at, Bytes bytes) {
    for (const std::size_t width : {std::size_t{4}, std::size_t{8}}) {
      if (bytes.size() < 8 + 2 * width) continue;
      const auto number = [&](std::size_t field) {
        return width == 4 ? load_le<std::uint32_t>(&bytes[field]) : load_le<std::uint64_t>(&bytes[field]);
      };
      const std::uint64_t stored_size = number(8), size = number(8 + width);
      if (stored_size > at) continue;
      check_limit(found_.descriptors.size());
      found_.descriptors.push_back({at - stored_size, stored_size, size, load_le<std::uint32_t>(&bytes[4]),
                                    static_cast<std::uint32_t>(8 + 2 * width)});
    }
  }

  const ByteSource& source_;
  const Limits& limits_;
  Landmarks found_;
};

// The folder that all records of a checkpoint lie in, with its slash; headers of archives inside records have
// others.
std::string folder_of(std::string_view name) {
  const std::size_t slash = name.find('/');
  return slash == std::string_view::npos ? "" : std::string(name.substr(0, slash + 1));
}

class ForwardWalk {
 public:
  ForwardWalk(const ByteSource& source, const Limits& limits, Recovered& found)
      : source_(source),
        reader_(source, kReadBlock),
        marks_(LandmarkSearch(source, limits).run()),
        found_(found) {}

  void run() {
    std::uint64_t end = 0;  // of the last whole record
    std::string folder;
    found_.has_descriptors = true;
    for (const std::uint64_t at : marks_.headers) {
      if (at < end) continue;
      auto header = read_header(reader_, at);
      if (!header) continue;
      if (at == 0) folder = folder_of(header->record.name);
      if (!header->record.name.starts_with(folder)) continue;
      if (const std::uint64_t record_end = finish(*header)) {
        end = record_end;
        found_.has_descriptors =
            found_.has_descriptors && (header->has_descriptor || header->record.size == 0);
        found_.records.push_back(std::move(header->record));
      } else if (found_.broken.size() < kBrokenMost) {
        found_.broken.push_back({header->record.name, why_broken(at), at});
      }
    }
  }

 private:
  static constexpr std::size_t kBrokenMost = 10'000;  // they are for messages

  // Completes the record; returns where it ends, or 0 when it is not whole.
  std::uint64_t finish(Header& header) {
    Record& record = header.record;
    if (header.has_descriptor) return finish_by_descriptor(record);
    if (!read_wide_sizes(reader_, record) || !can_be(record) ||
        !fits(record.data_offset, record.stored_size, source_.size()))
      return 0;
    set_crc(record, record.crc);
    return record.data_offset + record.stored_size;
  }

  std::uint64_t finish_by_descriptor(Record& record) {
    const auto before = [](const Landmarks::Descriptor& one, std::uint64_t at) {
      return one.data_offset < at;
    };
    auto one =
        std::lower_bound(marks_.descriptors.begin(), marks_.descriptors.end(), record.data_offset, before);
    constexpr int kTriedMost = 8;  // a record has one; more only where bytes were laid out to look so
    for (int tried = 0;
         tried < kTriedMost && one != marks_.descriptors.end() && one->data_offset == record.data_offset;
         ++tried, ++one) {
      Record candidate = record;
      candidate.stored_size = one->stored_size;
      candidate.size = one->size;
      set_crc(candidate, one->crc);
      const std::uint64_t end = one->data_offset + one->stored_size + one->bytes;
      if (!can_be(candidate) || !is_followed(end)) continue;
      record = std::move(candidate);
      return end;
    }
    return 0;
  }

  // Another record, the directory, or the place where the file is cut.
  bool is_followed(std::uint64_t end) {
    if (!fits(end, 4, source_.size())) return true;
    std::byte next[4];
    source_.read_at(end, next);
    const auto signature = load_le<std::uint32_t>(next);
    return signature == local::kSignature || signature == central::kSignature;
  }

  // Only the last one can have been cut.
  const char* why_broken(std::uint64_t at) const {
    return at == marks_.headers.back() && marks_.directory == ~std::uint64_t{0} ? "the file ends within it"
                                                                                : "its end cannot be found";
  }

  const ByteSource& source_;
  WindowReader reader_;
  const Landmarks marks_;
  Recovered& found_;
};

}  // namespace

Recovered recover(const SourcePtr& source, const Limits& limits) {
  Recovered found;
  try {
    found.records = Archive::open(source, limits).records();
    found.has_directory = true;
    return found;
  } catch (const Error& error) {
    if (error.fault() != Fault::corrupt) throw;
    found.why = error;
  }
  // What stands before an archive is for other readers, and may be a pickle: that is no damage.
  WindowReader reader(*source, 4096);
  if (!read_header(reader, 0)) throw *found.why;
  found.has_directory = recover_by_directory(*source, limits, found) && !found.records.empty();
  if (!found.has_directory) {
    found.records.clear();
    found.broken.clear();
    ForwardWalk(*source, limits, found).run();
  }
  return found;
}

}  // namespace ferry::zip
