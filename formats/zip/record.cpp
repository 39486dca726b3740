#include "formats/zip/record.h"

#include <cstdio>

#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::zip {

std::string in_record(std::string_view name) { return "in record " + quote(name); }

void check_crc(const Record& record, std::uint32_t crc) {
  if (!record.crc_computed || crc == record.crc) return;
  char what[96];
  std::snprintf(what, sizeof what, "the bytes give CRC-32 %08x where the archive says %08x", crc, record.crc);
  throw Error(Code::checksum_mismatch, what).at(record.data_offset).in(in_record(record.name));
}

}  // namespace ferry::zip
