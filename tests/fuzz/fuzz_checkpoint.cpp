// Any bytes as a checkpoint: opened, and all its storages read.  Nothing but ferry::Error may leave the
// reader.
#include "src/core/error.h"
#include "tests/support/content.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ferry::Bytes bytes = std::as_bytes(std::span(data, size));
  try {
    ferry::test::content_of(ferry::test::open_bytes({bytes.begin(), bytes.end()}));
  } catch (const ferry::Error&) {  // a rejection is an answer
  }
  return 0;
}
