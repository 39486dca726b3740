#include "formats/zip/archive.h"

#include <algorithm>
#include <array>
#include <string>

#include "formats/zip/crc32.h"
#include "formats/zip/directory.h"
#include "formats/zip/inflate.h"
#include "formats/zip/layout.h"
#include "formats/zip/local.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::zip {
namespace {

// The part of a name that readers written in C see.
std::string_view before_nul(std::string_view name) { return name.substr(0, name.find('\0')); }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Names as miniz compares them when it looks a record up: ASCII letters without case, up to a NUL.
int compare_folded(std::string_view a, std::string_view b) {
  a = before_nul(a);
  b = before_nul(b);
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    const auto x = static_cast<unsigned char>(lower(a[i])), y = static_cast<unsigned char>(lower(b[i]));
    if (x != y) return x < y ? -1 : 1;
  }
  return a.size() < b.size() ? -1 : a.size() > b.size() ? 1 : 0;
}

std::uint64_t hash_folded(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : before_nul(name)) hash = (hash ^ static_cast<unsigned char>(lower(c))) * 0x100000001b3;
  return hash;
}

// The end record can be right though something was put in front of the archive and all offsets moved. Readers
// of other formats look at the first bytes only, so these must be the archive's own.
void check_beginning(const ByteSource& source, const EndRecord& end) {
  std::array<std::byte, 4> head;
  source.read_at(0, head);
  const bool is_empty = end.count == 0 && end.directory_offset == 0;
  if (!is_empty && load_le<std::uint32_t>(head.data()) != local::kSignature)
    throw Error(Code::bad_zip, "bytes stand before the first record of the zip archive").at(0);
}

}  // namespace

Archive Archive::open(SourcePtr source, const Limits& limits) {
  const EndRecord end = find_end(*source);
  check_beginning(*source, end);
  Directory directory = read_directory(*source, end, limits);
  Archive archive;
  archive.unlisted_bytes_ = check_local_headers(*source, directory, end.directory_offset);
  archive.source_ = std::move(source);
  archive.records_ = std::move(directory.records);
  archive.index_names();
  return archive;
}

Archive Archive::of(SourcePtr source, std::vector<Record> records) {
  Archive archive;
  archive.source_ = std::move(source);
  archive.records_ = std::move(records);
  archive.index_names();
  return archive;
}

void Archive::index_names() {
  keys_.reserve(records_.size());
  for (std::uint32_t i = 0; i < records_.size(); ++i) keys_.push_back({hash_folded(records_[i].name), i});
  const auto compare = [this](const Key& a, const Key& b) {
    return compare_folded(records_[a.record].name, records_[b.record].name);
  };
  std::sort(keys_.begin(), keys_.end(), [&](const Key& a, const Key& b) {
    return a.hash != b.hash ? a.hash < b.hash : compare(a, b) < 0;
  });
  const auto same = [&](const Key& a, const Key& b) { return a.hash == b.hash && compare(a, b) == 0; };
  const auto twin = std::adjacent_find(keys_.begin(), keys_.end(), same);
  if (twin == keys_.end()) return;
  const Record& one = records_[std::min(twin->record, (twin + 1)->record)];
  const Record& other = records_[std::max(twin->record, (twin + 1)->record)];
  throw Error(Code::duplicate_record, "the zip archive has a second record of this name, " +
                                          quote(other.name) + " at byte " +
                                          std::to_string(other.header_offset))
      .at(one.header_offset)
      .in(in_record(one.name));
}

const Record* Archive::find(std::string_view name) const {
  if (name.empty() || before_nul(name).size() != name.size() || !is_utf8(name, false)) return nullptr;
  const std::uint64_t hash = hash_folded(name);
  const auto key =
      std::lower_bound(keys_.begin(), keys_.end(), name, [&](const Key& k, std::string_view wanted) {
        return k.hash != hash ? k.hash < hash : compare_folded(records_[k.record].name, wanted) < 0;
      });
  if (key == keys_.end() || records_[key->record].name != name) return nullptr;
  return &records_[key->record];
}

std::vector<std::byte> Archive::read(const Record& record, std::uint64_t size_max) const {
  if (record.size > size_max)
    throw Error(Code::limit_exceeded,
                "the record has " + grouped(record.size) + " bytes, the limit is " + grouped(size_max))
        .at(record.header_offset)
        .in(in_record(record.name));
  if (record.method == kStored) {
    std::vector<std::byte> bytes = source_->read({record.data_offset, record.size});
    check_crc(record, crc32(0, bytes));
    return bytes;
  }
  std::vector<std::byte> bytes(static_cast<std::size_t>(record.size));
  InflateStream stream(*source_, record);
  stream.read(bytes);
  stream.finish();
  return bytes;
}

void Archive::check(const Record& record) const {
  std::vector<std::byte> block(static_cast<std::size_t>(std::min<std::uint64_t>(kReadBlock, record.size)));
  if (record.method != kStored) {
    InflateStream stream(*source_, record);
    while (stream.bytes_left() > 0)
      stream.read(std::span(block).first(std::min<std::uint64_t>(block.size(), stream.bytes_left())));
    return stream.finish();
  }
  std::uint32_t crc = 0;
  for (std::uint64_t at = 0; at < record.size;) {
    const auto piece = std::span(block).first(std::min<std::uint64_t>(block.size(), record.size - at));
    source_->read_at(record.data_offset + at, piece);
    crc = crc32(crc, piece);
    at += piece.size();
  }
  check_crc(record, crc);
}

}  // namespace ferry::zip
