// The end of an archive: the records that say where the directory is.
#pragma once

#include <cstdint>
#include <string>

#include "src/core/bytes.h"
#include "src/core/likeness.h"

namespace ferry::zip {

// Cheap (at most 64 KiB are read) and generous: a file that any reader could take for a zip archive matches,
// also one with bytes before the archive or after it.  Archive::open then refuses those, so that a pickle
// with an archive behind it is never read as a pickle.
Likeness looks_like_zip(const ByteSource& source);

struct EndRecord {
  std::uint64_t count = 0;  // records in the directory; none is legal, numpy writes such archives
  std::uint64_t directory_offset = 0;
  std::uint64_t directory_size = 0;  // at least 46 bytes a record
};

// Finds the one end record, and the zip64 end record where there is one, and checks that they agree with each
// other and with the size of the file: the directory ends where they begin, and they end where the file ends.
// Throws Code::truncated, Code::bad_zip, Code::zip_disagreement, Code::unsupported_container (several disks).
EndRecord find_end(const ByteSource& source);

}  // namespace ferry::zip
