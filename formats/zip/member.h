// A record of an archive as a source of its own: a file that lies in a zip.
#pragma once

#include <memory>

#include "formats/zip/archive.h"
#include "formats/zip/inflated_source.h"
#include "src/core/bytes.h"

namespace ferry::zip {

// The bytes of `record`: a slice of the archive where it is stored, inflated when they are first asked for
// where it is deflated.
SourcePtr member_source(const Archive& archive, const Record& record,
                        const std::shared_ptr<InflatedSpace>& space);

// Reads a stored record once and compares its CRC; inflating checks the others by itself.  For members whose
// own format has no checksums.  Throws Code::checksum_mismatch.
void check_stored(const Archive& archive, const Record& record);

}  // namespace ferry::zip
