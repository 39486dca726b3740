#include "src/cli/version_text.h"

#include "formats/zip/crc32.h"
#include "src/core/version.h"

namespace ferry::cli {
namespace {

std::string compiler() {
#if defined(__clang__)
  return "clang " + std::to_string(__clang_major__) + "." + std::to_string(__clang_minor__) + "." +
         std::to_string(__clang_patchlevel__);
#else
  return "g++ " + std::to_string(__GNUC__) + "." + std::to_string(__GNUC_MINOR__) + "." +
         std::to_string(__GNUC_PATCHLEVEL__);
#endif
}

}  // namespace

std::string version_text() {
  const std::string features = zip::crc32_engine() == "isa-l" ? "+isal +zlib" : "-isal +zlib";
  return "torchferry " + std::string(version()) + " " + features + " (" + compiler() + ")\n";
}

}  // namespace ferry::cli
