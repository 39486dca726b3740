// The central directory: what an archive says it holds.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "formats/zip/end_record.h"
#include "formats/zip/record.h"
#include "src/core/bytes.h"
#include "src/core/limits.h"

namespace ferry::zip {

struct Directory {
  std::vector<Record> records;       // in the order of the directory; data_offset is still to be found
  std::vector<std::uint16_t> flags;  // of the same records
};

// Reads exactly the records that the end record announces, from exactly the bytes that it gives them.  Every
// claim is checked against the bytes present: a stored record has one size, a deflated one claims no more
// than deflate can yield, and both lie before the directory.  Throws Code::bad_zip,
// Code::unsupported_container (encryption, other methods, several disks), Code::limit_exceeded.
Directory read_directory(const ByteSource& source, const EndRecord& end, const Limits& limits);

// Tells the names that the directory lists, until `take` returns false.  For probes: nothing is kept, no
// header beside the data is read, and a broken directory just ends.
void each_name(const ByteSource& source, const std::function<bool(std::string_view)>& take);

}  // namespace ferry::zip
