// Extra fields: the list of (id, size, data) after the name in central and local headers.
#pragma once

#include <cstdint>
#include <string_view>

#include "src/core/bytes.h"

namespace ferry::zip {

struct Extras {
  bool has_zip64 = false;
  Bytes zip64;  // the data of the zip64 field
};

// Walks the whole list, so that an unreadable one never passes.  Throws Code::bad_zip when a field reaches
// beyond the list, when two zip64 fields could each be taken for the true one, or when a Unicode Path field
// names another record than `name`; `at` is the offset of the list in the file.
Extras read_extras(Bytes list, std::string_view name, std::uint64_t at);

}  // namespace ferry::zip
