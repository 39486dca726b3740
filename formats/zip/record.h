// A record of an archive: a named run of bytes, and where it lies.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ferry::zip {

inline constexpr std::uint16_t kStored = 0;
inline constexpr std::uint16_t kDeflated = 8;

struct Record {
  std::string name;                // as written: may be empty, hold NUL, or be no UTF-8; see Archive::find
  std::uint16_t method = kStored;  // kStored or kDeflated, nothing else passes Archive::open
  std::uint32_t crc = 0;           // CRC-32 of the inflated bytes
  bool crc_computed =
      true;  // false when the CRC is 0 everywhere though there are bytes: it says nothing then
  std::uint64_t stored_size = 0;  // bytes in the file
  std::uint64_t size = 0;         // bytes after inflating
  std::uint64_t header_offset = 0;
  std::uint64_t data_offset = 0;

  bool operator==(const Record&) const = default;
};

// "in record 'archive/data.pkl'": the place that every message about a record names.
std::string in_record(std::string_view name);

// Throws Code::checksum_mismatch when `crc`, computed over the inflated bytes, is not the one in the archive.
// A record whose writer computed no CRC passes.
void check_crc(const Record& record, std::uint32_t crc);

}  // namespace ferry::zip
