#include "src/cli/content_hash.h"

#include <algorithm>
#include <array>
#include <vector>

#include "src/core/checked.h"
#include "src/hash/xxh3.h"
#include "validators/numeric/tensor_reader.h"

namespace ferry::cli {

std::optional<std::string> content_hash(const numeric::TensorView& view) {
  // A stride of 0 can claim any number of elements; work has to follow from the bytes that are there.
  constexpr std::uint64_t kTimesMax = 16, kAlways = std::uint64_t{64} << 20;
  const std::uint64_t size = view.size_bytes();
  if (size > kAlways && size / kTimesMax > view.source->size()) return std::nullopt;

  hash::Xxh3Stream stream;
  stream.update(as_bytes(info(view.dtype).name));
  std::vector<std::byte> head(1 + 8 * (view.shape.size() + 1));
  store_le<std::uint64_t>(&head[1], view.shape.size());
  for (std::size_t i = 0; i < view.shape.size(); ++i)
    store_le<std::uint64_t>(&head[9 + 8 * i], static_cast<std::uint64_t>(view.shape[i]));
  stream.update(head);

  const std::uint64_t itemsize = info(view.dtype).itemsize, count = view.numel();
  const std::uint64_t block = std::max<std::uint64_t>(1, (std::uint64_t{1} << 20) / itemsize);
  std::vector<std::byte> bytes(std::min(block, count) * itemsize);
  for (std::uint64_t at = 0; at < count;) {
    const std::uint64_t some = std::min(block, count - at);
    const auto piece = std::span(bytes).first(some * itemsize);
    numeric::read_elements(view, at, some, piece);
    stream.update(piece);
    at += some;
  }
  return stream.hex();
}

}  // namespace ferry::cli
