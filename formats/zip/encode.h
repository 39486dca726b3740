// The bytes of a zip archive around its data, made from what is known of the records: pure functions, no
// file.
//
// The structure is that of torch.save, byte for byte but for the date (FORMAT.md, "What we write"), because
// torch.load may compute where data lies from names and sizes alone.  Every size is known before any CRC is,
// so a whole archive can be laid out first, and local headers written before their data is seen:
//
//     local header | data, record.size bytes | descriptor | local header | … | directory | end records
//
// Headers depend on the names, sizes and order of the records and on nothing else: no clock, no chance.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace ferry::zip {

inline constexpr std::uint64_t kDataAlignment = 64;

// What the encoder needs to know about one record.
struct Entry {
  std::string_view name;  // UTF-8, without NUL; kept by the caller
  std::uint64_t size = 0;
  std::uint32_t crc = 0;  // not in the local header
  std::uint64_t header_offset = 0;
};

// The size of the local header with name, extra fields and padding: the data begins that many bytes after
// `header_offset`, at a multiple of kDataAlignment.  Throws Code::limit_exceeded for a name above 65,000
// bytes.
std::uint64_t local_header_size(std::string_view name, std::uint64_t size, std::uint64_t header_offset);

// The size of the descriptor that follows the data, 0 for a record without data: the next header begins
// there.
std::uint64_t descriptor_size(std::uint64_t size, std::uint64_t header_offset);

// Fill `out`, which has just the size that the functions above give.
void put_local_header(const Entry& entry, std::span<std::byte> out);
void put_descriptor(const Entry& entry, std::span<std::byte> out);

// The same, as bytes of their own.
std::vector<std::byte> local_header(const Entry& entry);
std::vector<std::byte> data_descriptor(const Entry& entry);

// The directory and the end records behind it, for entries in the order given.  `offset` is where the
// directory begins, right after the last record.
std::vector<std::byte> directory(std::span<const Entry> entries, std::uint64_t offset);

// The number of bytes that directory() makes.
std::uint64_t directory_size(std::span<const Entry> entries);

}  // namespace ferry::zip
