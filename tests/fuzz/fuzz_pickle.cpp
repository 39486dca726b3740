// Any bytes as a pickle program: decoded, interpreted, encoded again; what was written must decode.
#include <cstdlib>

#include "formats/pickle/decoder.h"
#include "formats/torch/encode.h"
#include "formats/torch/interpret.h"
#include "src/core/error.h"

namespace {

using namespace ferry;

Checkpoint read(std::vector<std::byte> program) {
  Checkpoint checkpoint;
  checkpoint.values = pickle::decode(std::make_shared<const std::vector<std::byte>>(std::move(program)), 0,
                                     checkpoint.globals)
                          .graph;
  torch::StorageTable table(checkpoint, torch::StorageTable::Layout::zip);
  table.resolve();
  torch::interpret(checkpoint, table, Limits{});
  return checkpoint;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes = std::as_bytes(std::span(data, size));
  std::vector<std::byte> written;
  try {
    written = torch::encode(read({bytes.begin(), bytes.end()})).bytes;
  } catch (const Error&) {
    return 0;
  }
  // What is written reads back, and writes the same.
  if (torch::encode(read(written)).bytes != written) std::abort();
  return 0;
}
