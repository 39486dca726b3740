// The bytes of a zip archive around its data, made from what is known of the records: pure functions, no
// file.
//
// Records are stored, never deflated; data begins at multiples of 64 bytes, as torch.save has it, so that
// torch.load(mmap=True) can map it.  Every size is known before any CRC is, so a whole archive can be laid
// out first:
//
//     local header | data, record.size bytes | local header | data | … | directory | end records
//
// Headers depend on the names, sizes and order of the records and on nothing else: no clock, no chance.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::zip {

inline constexpr std::uint64_t kDataAlignment = 64;

// What the encoder needs to know about one record.
struct Entry {
  std::string name;  // UTF-8, without NUL
  std::uint64_t size = 0;
  std::uint32_t crc = 0;
  std::uint64_t header_offset = 0;
};

// The size of the local header with name, extra fields and padding: the data begins that many bytes after
// `header_offset`, at a multiple of kDataAlignment.  Throws Code::limit_exceeded for a name above 65,000
// bytes.
std::uint64_t local_header_size(std::string_view name, std::uint64_t size, std::uint64_t header_offset);

// The local header; with entry.crc as it is, to be patched where it is not known yet.
std::vector<std::byte> local_header(const Entry& entry);

// Puts the CRC into a header that local_header made.
void patch_crc(std::span<std::byte> header, std::uint32_t crc);

// The directory and the end records behind it, for entries in the order given.  `offset` is where the
// directory begins, right after the data of the last record.
std::vector<std::byte> directory(std::span<const Entry> entries, std::uint64_t offset);

// The number of bytes that directory() makes.
std::uint64_t directory_size(std::span<const Entry> entries, std::uint64_t offset);

}  // namespace ferry::zip
