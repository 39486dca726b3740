#include "formats/zip/crc32.h"

#include <zlib.h>

#ifdef FERRY_HAVE_ISAL
#include <isa-l.h>
#endif

namespace ferry::zip {

std::uint32_t crc32(std::uint32_t crc, Bytes bytes) {
  // zlib takes a null pointer for a question about its initial value.
  if (bytes.empty()) return crc;
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
#ifdef FERRY_HAVE_ISAL
  return crc32_gzip_refl(crc, data, bytes.size());
#else
  return static_cast<std::uint32_t>(::crc32_z(crc, data, bytes.size()));
#endif
}

std::uint32_t crc32_combine(std::uint32_t crc_a, std::uint32_t crc_b, std::uint64_t size_b) {
  static_assert(sizeof(z_off_t) == 8, "records beyond 2 GiB need 64-bit offsets in zlib");
  return static_cast<std::uint32_t>(::crc32_combine(crc_a, crc_b, static_cast<z_off_t>(size_b)));
}

std::string_view crc32_engine() {
#ifdef FERRY_HAVE_ISAL
  return "isa-l";
#else
  return "zlib";
#endif
}

}  // namespace ferry::zip
