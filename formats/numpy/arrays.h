// Arrays in the .npy format as values of a checkpoint.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "formats/numpy/element.h"
#include "formats/numpy/header.h"
#include "formats/pickle/decoder.h"
#include "src/core/checkpoint.h"
#include "src/core/limits.h"

namespace ferry::numpy {

// Where one array is: magic bytes, header and data in a row.
struct ArrayPlace {
  std::string key;   // of its storage
  SourcePtr source;  // where its bytes can be read at any offset
  ByteRange range;
  bool deflated = false;             // in the container; `source` gives inflated bytes
  std::optional<std::uint32_t> crc;  // CRC-32 of the range where the container has one
  Head head;                         // a cheaper way to its first bytes than `source`
};

// Adds arrays to a checkpoint, one after the other.
class ArrayReader {
 public:
  ArrayReader(Checkpoint& checkpoint, const Limits& limits) : checkpoint_(checkpoint), limits_(limits) {}

  // Numbers become a tensor, whose bytes stay where they are; text becomes nested lists, as in a pickled
  // array, once finish() has run.  An array of Python objects is decoded, so that unsafe names are refused,
  // and then is Code::unsupported_value.  Throws what read_array_header() and parse_element_type() throw, and
  // Code::bad_npy when there are not just as many bytes as type and shape need.
  NodeId add(const ArrayPlace& place);

  // Interprets the texts that were added.
  void finish();

 private:
  NodeId add_tensor(const ArrayPlace& place, const ArrayHeader& header, const ElementType& type,
                    std::int64_t numel);
  NodeId add_text(const ArrayPlace& place, const ArrayHeader& header, std::int64_t numel);

  Checkpoint& checkpoint_;
  const Limits& limits_;
};

// The pickle that follows the header of an array of objects.
pickle::Program object_program(const ArrayPlace& place, const ArrayHeader& header, const Limits& limits);

}  // namespace ferry::numpy
