// Local headers and data descriptors: what stands beside the data, checked against the directory.
#pragma once

#include <cstdint>
#include <string>

#include "formats/zip/directory.h"
#include "src/core/bytes.h"

namespace ferry::zip {

// Checks that the header beside each record's data says what the directory says (name, method, flags, sizes,
// CRC, in the data descriptor where there is one) and that no two records share a byte; sets data_offset.
// `limit` is where the directory begins.  Reads headers in the order of the file, many at a time where
// records are small.  Returns the number of bytes before the directory that belong to no listed record; those
// are legal.
//
// Throws Code::zip_disagreement, Code::bad_zip.
std::uint64_t check_local_headers(const ByteSource& source, Directory& directory, std::uint64_t limit);

// The name of the record that the file begins with, or "" when it begins with something else.  Cheap: for
// probes, which must not read a whole directory.
std::string first_record_name(const ByteSource& source);

}  // namespace ferry::zip
