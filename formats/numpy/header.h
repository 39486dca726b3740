// The header of a .npy array, read by a grammar of its own: numpy evaluates it as Python, nothing here does.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "src/core/bytes.h"

namespace ferry::numpy {

inline constexpr std::string_view kMagic = "\x93NUMPY";
inline constexpr std::size_t kRankMax = 64;  // NPY_MAXDIMS of numpy 2
// numpy writes 118 bytes; only structured types, which are not read, need thousands.
inline constexpr std::uint64_t kHeaderMax = 64 << 10;

struct ArrayHeader {
  std::string descr;  // the element type, as written
  bool fortran = false;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;  // all that stands before the data: magic, version, size and header
};

// The first bytes of an array: as many as asked for, which is never more than it has.
using Head = std::function<std::vector<std::byte>(std::size_t)>;

// Reads the header of an array that has `size` bytes with it.  Throws Code::truncated, bad_npy, bad_version,
// limit_exceeded, and unsupported_value for structured types.
ArrayHeader read_array_header(const Head& head, std::uint64_t size);

}  // namespace ferry::numpy
