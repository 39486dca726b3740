#include "tests/support/content.h"

#include <fstream>
#include <iterator>

#include "formats/copy/storage_stream.h"
#include "formats/formats.h"
#include "formats/torch/encode.h"

namespace ferry::test {

std::filesystem::path fixture(std::string_view name) {
  return std::filesystem::path(FERRY_SOURCE_DIR) / "fixtures" / name;
}

std::vector<std::byte> read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("no such fixture: " + path.string());
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const Bytes bytes = as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

Checkpoint open_bytes(std::vector<std::byte> bytes) {
  return open_checkpoint(std::make_shared<MemorySource>("memory", std::move(bytes)), Limits{});
}

std::string content_of(const Checkpoint& checkpoint) {
  const torch::EncodedProgram program = torch::encode(checkpoint);
  std::string content(as_text(Bytes(program.bytes)));
  for (const std::uint32_t index : program.storage_order) {
    const Storage& storage = checkpoint.storages[index];
    std::vector<std::byte> bytes(storage.bytes.size);
    copy::StorageStream(storage).read(bytes);
    content += as_text(Bytes(bytes));
  }
  return content;
}

std::vector<std::byte> with_bit_flipped(const std::vector<std::byte>& bytes, std::size_t bit) {
  std::vector<std::byte> copy = bytes;
  copy[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
  return copy;
}

}  // namespace ferry::test
