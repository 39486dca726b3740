// CRC-32 as zip, gzip and zlib define it.
#pragma once

#include <cstdint>
#include <string_view>

#include "src/core/bytes.h"

namespace ferry::zip {

// The CRC of everything that `crc` covers followed by `bytes`; the CRC of nothing is 0.
std::uint32_t crc32(std::uint32_t crc, Bytes bytes);

// The CRC of A followed by B from the CRCs of both and the size of B, in a few hundred steps whatever the
// size: pieces of one record can be summed by several threads.
std::uint32_t crc32_combine(std::uint32_t crc_a, std::uint32_t crc_b, std::uint64_t size_b);

// The library that does the work: "isa-l" or "zlib".
std::string_view crc32_engine();

}  // namespace ferry::zip
