// CRC-32 by carry-less multiplication of 256 bits at a time.
//
// ISA-L takes such multiplications on processors with AVX-512 and otherwise halves of them.  Many processors
// have them without AVX-512 (AMD since Zen 3, Intel's since Alder Lake): this is for those.
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/core/bytes.h"

namespace ferry::zip {

// True where this processor has VPCLMULQDQ and AVX2, and no AVX-512, with which ISA-L is faster.
bool has_wide_crc32();

// Fewer bytes than this are not worth the start.
inline constexpr std::size_t kWideCrcBytes = 1024;

// The message `bytes` after `crc`, folded: the CRC-32 of what it covers is that of `rest` after `crc`.
struct FoldedCrc {
  std::uint32_t crc = 0;
  std::byte block[16] = {};  // a message of the same remainder as all the bytes before `rest`
  Bytes rest;                // fewer than 256 bytes
};

// Needs has_wide_crc32() and at least kWideCrcBytes.  The CRC of the whole is crc32(crc32(f.crc, f.block),
// f.rest).
FoldedCrc fold_crc32(std::uint32_t crc, Bytes bytes);

}  // namespace ferry::zip
