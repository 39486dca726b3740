#include "src/cli/content_hash.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include "src/core/checked.h"
#include "src/core/composite.h"
#include "src/hash/xxh3.h"
#include "validators/numeric/measure_block.h"
#include "validators/numeric/numbers.h"
#include "validators/numeric/tensor_reader.h"

namespace ferry::cli {
namespace {

// A stride of 0 can claim any number of elements; work has to follow from the bytes that are there.
bool is_affordable(const numeric::TensorView& view) {
  constexpr std::uint64_t kTimesMax = 16, kAlways = std::uint64_t{64} << 20;
  const std::uint64_t size = view.size_bytes();
  return size <= kAlways || size / kTimesMax <= view.source->size();
}

void add_shape(hash::Xxh3Stream& stream, std::span<const std::int64_t> shape) {
  std::vector<std::byte> head(1 + 8 * (shape.size() + 1));
  store_le<std::uint64_t>(&head[1], shape.size());
  for (std::size_t i = 0; i < shape.size(); ++i)
    store_le<std::uint64_t>(&head[9 + 8 * i], static_cast<std::uint64_t>(shape[i]));
  stream.update(head);
}

// Elements in row-major order, block by block.
template <typename Take>
void each_block(const numeric::TensorView& view, Take take) {
  const std::uint64_t itemsize = info(view.dtype).itemsize, count = view.numel();
  const std::uint64_t block = std::max<std::uint64_t>(1, (std::uint64_t{1} << 20) / itemsize);
  std::vector<std::byte> bytes(std::min(block, count) * itemsize);
  for (std::uint64_t at = 0; at < count;) {
    const std::uint64_t some = std::min(block, count - at);
    const auto piece = std::span(bytes).first(some * itemsize);
    numeric::read_elements(view, at, some, piece);
    take(Bytes(piece));
    at += some;
  }
}

// The finalizer of SplitMix64: every bit of the result depends on every bit of the number.
std::uint64_t mixed(std::uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9u;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebu;
  return bits ^ (bits >> 31);
}

// A list of numbers as the tensor that torch makes of it.
std::string list_hash(const ValueGraph& graph, std::span<const NodeId> items, DType dtype) {
  const std::size_t itemsize = info(dtype).itemsize;
  std::vector<std::byte> bytes(items.size() * itemsize);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const bool real = graph.kind(items[i]) == Kind::real;
    const double number = real ? graph.real(items[i]) : static_cast<double>(graph.integer(items[i]));
    std::byte* const at = &bytes[i * itemsize];
    if (dtype == DType::float32)
      store_le(at, std::bit_cast<std::uint32_t>(static_cast<float>(number)));
    else if (dtype == DType::float64)
      store_le(at, std::bit_cast<std::uint64_t>(number));
    else
      store_le(at, graph.node(items[i]).word());
  }
  const MemorySource source("a list of numbers", std::move(bytes));
  const std::int64_t shape = static_cast<std::int64_t>(items.size()), stride = 1;
  numeric::TensorView view;
  view.source = &source;
  view.dtype = dtype;
  view.shape = {&shape, 1};
  view.strides = {&stride, 1};
  return content_hash(view).value_or("");
}

}  // namespace

std::optional<std::string> content_hash(const numeric::TensorView& view) {
  if (!is_affordable(view)) return std::nullopt;

  hash::Xxh3Stream stream;
  stream.update(as_bytes(info(view.dtype).name));
  add_shape(stream, view.shape);
  each_block(view, [&](Bytes bytes) { stream.update(bytes); });
  return stream.hex();
}

ContentSample content_sample(const numeric::TensorView& view) {
  constexpr std::uint64_t kEnd = 32;  // elements
  const std::uint64_t count = view.numel(), itemsize = info(view.dtype).itemsize;
  ContentSample sample{static_cast<std::uint64_t>(view.dtype), true, count <= 2 * kEnd};
  for (const std::int64_t size : view.shape)
    sample.key = mixed(sample.key + 0x9e3779b97f4a7c15u + static_cast<std::uint64_t>(size));
  std::array<std::byte, 2 * kEnd * 16> room;
  const std::uint64_t head = sample.whole ? count : kEnd, tail = sample.whole ? 0 : kEnd;
  const auto bytes = std::span(room).first((head + tail) * itemsize);
  if (head != 0) numeric::read_elements(view, 0, head, bytes.first(head * itemsize));
  if (tail != 0) numeric::read_elements(view, count - tail, tail, bytes.subspan(head * itemsize));
  for (std::size_t at = 0; at < bytes.size(); at += itemsize) {
    sample.constant = sample.constant && std::memcmp(&bytes[at], bytes.data(), itemsize) == 0;
    for (std::size_t part = 0; part < itemsize; part += 8)
      sample.key = mixed(sample.key + 0x9e3779b97f4a7c15u +
                         numeric::load_bits(&bytes[at + part], std::min<std::size_t>(8, itemsize - part)));
  }
  return sample;
}

std::string no_data_hash(DType dtype, std::span<const std::int64_t> shape) {
  hash::Xxh3Stream stream;
  stream.update(as_bytes(std::string_view("no data\0", 8)));
  stream.update(as_bytes(info(dtype).name));
  add_shape(stream, shape);
  return stream.hex();
}

std::string composite_hash(const Checkpoint& checkpoint, NodeId composite,
                           const std::function<std::string(std::uint32_t tensor)>& of_tensor) {
  const ValueGraph& graph = checkpoint.values;
  const Composite form = graph.composite(composite);
  hash::Xxh3Stream stream;
  stream.update(as_bytes(composite_name(form)));
  add_shape(stream, shape_of(checkpoint, composite));
  const auto parts = graph.items(composite);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const Kind kind = graph.kind(parts[i]);
    if (kind == Kind::tensor) {
      stream.update(as_bytes(of_tensor(graph.index(parts[i]))));
    } else if (kind == Kind::list) {
      const bool zero_points = part_names(form)[i] == "zero_points";
      const DType dtype = form == Composite::per_channel_float ? DType::float32
                          : zero_points                        ? DType::int64
                                                               : DType::float64;
      stream.update(as_bytes(list_hash(graph, graph.items(parts[i]), dtype)));
    } else if (kind == Kind::real || kind == Kind::integer) {
      std::byte bits[8];
      store_le(bits, graph.node(parts[i]).word());
      stream.update(bits);
    }
  }
  return stream.hex();
}

std::optional<std::string> value_key(const numeric::TensorView& view) {
  if (!numeric::is_numeric(view.dtype) || view.numel() < 2 || !is_affordable(view)) return std::nullopt;
  const numeric::NumberFormat& format = numeric::format_of(view.dtype);
  std::uint64_t sum = 0, first = 0;
  bool constant = true, started = false;
  each_block(view, [&](Bytes bytes) {
    for (std::size_t at = 0; at < bytes.size(); at += format.element_bytes()) {
      std::uint64_t element = 0;
      for (std::size_t part = 0; part < format.components; ++part) {
        const std::uint64_t bits =
            numeric::load_bits(&bytes[at + part * format.component_bytes], format.component_bytes);
        const auto number = static_cast<double>(numeric::decode_component(format, bits));
        element = mixed(element + std::bit_cast<std::uint64_t>(number == 0 ? 0.0 : number) + part);
      }
      if (!started) first = element;
      started = true;
      constant = constant && element == first;
      sum += mixed(element ^ 0x9e3779b97f4a7c15u);
    }
  });
  if (constant) return std::nullopt;
  std::vector<std::int64_t> sizes(view.shape.begin(), view.shape.end());
  std::sort(sizes.begin(), sizes.end());
  std::string key = std::to_string(sum);
  for (const std::int64_t size : sizes)
    if (size != 1) key += "," + std::to_string(size);
  return key;
}

}  // namespace ferry::cli
