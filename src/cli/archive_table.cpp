#include "src/cli/archive_table.h"

namespace ferry::cli {

std::string archive_text(std::string text) {
  if (text.size() <= kArchiveTextMax) return text;
  std::size_t begin = text.size() - kArchiveTextMax + 3;
  while (begin < text.size() && (static_cast<unsigned char>(text[begin]) & 0xc0) == 0x80) ++begin;
  return "…" + text.substr(begin);
}

void put_word(std::vector<std::byte>& out, std::uint64_t word) {
  out.resize(out.size() + 8);
  store_le<std::uint64_t>(&out[out.size() - 8], word);
}

std::uint64_t word_at(Bytes bytes, std::size_t at, bool big_endian) {
  const std::uint64_t word = load_le<std::uint64_t>(bytes.subspan(at, 8).data());
  return big_endian ? __builtin_bswap64(word) : word;
}

}  // namespace ferry::cli
