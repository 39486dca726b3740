#include "formats/zip/crc32.h"

#include <zlib.h>

#ifdef FERRY_HAVE_ISAL
#include <isa-l.h>
#endif

#include "formats/zip/crc32_wide.h"

namespace ferry::zip {
namespace {

std::uint32_t by_library(std::uint32_t crc, Bytes bytes) {
  // zlib takes a null pointer for a question about its initial value.
  if (bytes.empty()) return crc;
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
#ifdef FERRY_HAVE_ISAL
  return crc32_gzip_refl(crc, data, bytes.size());
#else
  return static_cast<std::uint32_t>(::crc32_z(crc, data, bytes.size()));
#endif
}

}  // namespace

std::uint32_t crc32(std::uint32_t crc, Bytes bytes) {
  if (bytes.size() < kWideCrcBytes || !has_wide_crc32()) return by_library(crc, bytes);
  const FoldedCrc folded = fold_crc32(crc, bytes);
  return by_library(by_library(folded.crc, folded.block), folded.rest);
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
