// The JSON header of a safetensors file, read and checked whole before any of it is believed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/core/bytes.h"
#include "src/core/dtype.h"
#include "src/core/limits.h"

namespace ferry::safetensors {

inline constexpr std::size_t kLengthBytes = 8;            // u8, little-endian: the size of the header
inline constexpr std::uint64_t kHeaderMax = 100'000'000;  // MAX_HEADER_SIZE of the Rust reader
inline constexpr std::size_t kRankMax = 64;               // as numpy's

// One tensor as the header describes it.  After read_header() its dtype is one that torch has, and its range
// is just what dtype and shape need.
struct Entry {
  std::string name;
  DType dtype = DType::uint8;
  std::uint16_t rank = 0;
  std::size_t shape = 0;  // first of `rank` numbers in Header::sizes
  ByteRange range;        // in the file
  std::uint64_t at = 0;   // offset in the file, just behind the name, for messages
};

struct Header {
  std::vector<Entry> entries;       // in the order of the header
  std::vector<std::int64_t> sizes;  // of all shapes; of float4 in whole bytes, as torch counts them
  std::vector<std::pair<std::string, std::string>> metadata;  // texts by name, in order
};

// Reads the header and checks that the tensors cover the rest of the file without a hole or an overlap.
// Throws Code::truncated, limit_exceeded, too_deep; bad_safetensors for what no writer of the format makes;
// unsupported_tensor for dtypes that torch lacks.
Header read_header(const ByteSource& source);

}  // namespace ferry::safetensors
