// Several runs of bytes of a file, one behind the other, as one source: a tensor put together from others
// without being read when it is made.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/core/bytes.h"
#include "src/core/checkpoint.h"

namespace ferry::convert {

// A part of a record, and the CRC-32 of the whole record where the container has one.
struct Piece {
  SourcePtr source;
  ByteRange range;   // what is taken
  ByteRange record;  // in which it lies
  std::optional<std::uint32_t> crc;
};

// The bytes of a tensor as they lie in the file; nullopt when they do not lie in one run, as stored.
std::optional<Piece> piece_of(const Checkpoint& checkpoint, const Tensor& tensor);

// Reading a piece for the first time checks its record: Code::checksum_mismatch.
SourcePtr join_pieces(std::string name, std::vector<Piece> pieces);

}  // namespace ferry::convert
