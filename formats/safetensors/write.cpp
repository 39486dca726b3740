#include "formats/safetensors/write.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>

#include "formats/json/text.h"
#include "formats/safetensors/dtypes.h"
#include "formats/safetensors/header.h"
#include "src/core/checked.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::safetensors {
namespace {

constexpr std::size_t kDataAlignment = 8;

// The order of the library's enum Dtype, which is that of the elements' sizes: the last comes first in a
// file, so that all data are aligned.  Source: safetensors 0.8, src/tensor.rs.
constexpr auto kRanks = std::to_array<std::string_view>(
    {"BOOL",    "F4",          "F6_E2M3",     "F6_E3M2", "U8",  "I8",  "F8_E5M2", "F8_E4M3",
     "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "I16",     "U16", "F16", "BF16",    "I32",
     "U32",     "F32",         "C64",         "F64",     "I64", "U64"});

const DTypeName* name_of(DType dtype) {
  for (const DTypeName& row : kDTypeNames)
    if (row.dtype == dtype) return &row;
  return nullptr;
}

std::size_t rank_of(DType dtype) {
  return static_cast<std::size_t>(std::find(kRanks.begin(), kRanks.end(), name_of(dtype)->name) -
                                  kRanks.begin());
}

void check(const TensorSpec& tensor) {
  if (name_of(tensor.dtype) == nullptr)
    throw Error(Code::target_lacks,
                "safetensors has no name for the type " + std::string(info(tensor.dtype).name))
        .in("in " + quote(tensor.name))
        .with_hint("leave it out with --exclude, or write another target");
  if (tensor.name == "__metadata__")
    throw Error(Code::target_lacks, "safetensors keeps the name '__metadata__' for itself")
        .in("in " + quote(tensor.name));
}

std::string numbers(std::span<const std::int64_t> values) {
  std::string text;
  for (const std::int64_t value : values) text += (text.empty() ? "" : ",") + std::to_string(value);
  return text;
}

std::string described(const TensorSpec& tensor, ByteRange in_data) {
  std::vector<std::int64_t> shape = tensor.shape;
  if (tensor.dtype == DType::float4_e2m1fn_x2 && !shape.empty()) shape.back() *= 2;  // two values a byte
  return json::quoted(tensor.name) + ":{\"dtype\":\"" + std::string(name_of(tensor.dtype)->name) +
         "\",\"shape\":[" + numbers(shape) + "],\"data_offsets\":[" + std::to_string(in_data.offset) + "," +
         std::to_string(in_data.end()) + "]}";
}

std::string described(std::span<const std::pair<std::string, std::string>> metadata) {
  std::string text = "\"__metadata__\":{";
  for (const auto& [key, value] : metadata)
    text += (text.back() == '{' ? "" : ",") + json::quoted(key) + ":" + json::quoted(value);
  return text + "}";
}

}  // namespace

bool has_name(DType dtype) { return name_of(dtype) != nullptr; }

std::uint64_t size_bytes(const TensorSpec& tensor) {
  const auto numel = checked_numel(tensor.shape);
  const auto size = numel ? checked_mul(*numel, std::int64_t{info(tensor.dtype).itemsize}) : std::nullopt;
  if (!size) throw Error(Code::limit_exceeded, "a tensor of more bytes than a file can have");
  return static_cast<std::uint64_t>(*size);
}

Layout plan_layout(std::span<const TensorSpec> tensors,
                   std::span<const std::pair<std::string, std::string>> metadata) {
  for (const TensorSpec& tensor : tensors) check(tensor);
  Layout layout;
  layout.order.resize(tensors.size());
  std::iota(layout.order.begin(), layout.order.end(), 0u);
  std::sort(layout.order.begin(), layout.order.end(), [&](std::uint32_t a, std::uint32_t b) {
    const std::size_t mine = rank_of(tensors[a].dtype), other = rank_of(tensors[b].dtype);
    return mine != other ? mine > other : tensors[a].name < tensors[b].name;
  });
  std::string json = "{";
  if (!metadata.empty()) json += described(metadata);
  layout.places.resize(tensors.size());
  std::uint64_t offset = 0;
  for (const std::uint32_t i : layout.order) {
    layout.places[i] = {offset, size_bytes(tensors[i])};
    if (json.size() > 1) json += ',';
    json += described(tensors[i], layout.places[i]);
    offset = layout.places[i].end();
  }
  json += '}';
  json.resize((json.size() + kDataAlignment - 1) / kDataAlignment * kDataAlignment, ' ');
  if (json.size() > kHeaderMax)
    throw Error(Code::limit_exceeded,
                "the header has " + grouped(json.size()) + " bytes, the limit is " + grouped(kHeaderMax));
  std::array<std::byte, kLengthBytes> length;
  store_le<std::uint64_t>(length.data(), json.size());
  layout.header = std::string(as_text(length)) + json;
  for (ByteRange& place : layout.places) place.offset += layout.header.size();
  layout.size = layout.header.size() + offset;
  return layout;
}

std::vector<std::uint32_t> split(std::span<const TensorSpec> tensors, std::uint64_t size_max) {
  std::vector<std::uint32_t> shards(tensors.size());
  // Sizes of shards in the order in which they are closed; the open one has the number `open`.
  std::uint32_t closed = 0;
  std::uint64_t size = 0;
  std::vector<std::size_t> open;
  const auto close = [&] {
    for (const std::size_t i : open) shards[i] = closed;
    if (!open.empty()) ++closed;
    open.clear();
    size = 0;
  };
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::uint64_t bytes = size_bytes(tensors[i]);
    if (bytes > size_max) {
      shards[i] = closed++;
      continue;
    }
    if (size + bytes > size_max) close();
    open.push_back(i);
    size += bytes;
  }
  close();
  return shards;
}

std::string shard_name(std::string_view stem, std::size_t shard, std::size_t count) {
  const auto digits = [](std::size_t number) {
    const std::string text = std::to_string(number);
    return std::string(text.size() < 5 ? 5 - text.size() : 0, '0') + text;
  };
  return std::string(stem) + "-" + digits(shard + 1) + "-of-" + digits(count) + ".safetensors";
}

std::string index_text(std::span<const TensorSpec> tensors, std::span<const std::uint32_t> shards,
                       std::span<const std::string> files) {
  std::map<std::string_view, std::uint32_t> sorted;
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    sorted.emplace(tensors[i].name, shards[i]);
    total += size_bytes(tensors[i]);
  }
  std::string text =
      "{\n  \"metadata\": {\n    \"total_size\": " + std::to_string(total) + "\n  },\n  \"weight_map\": {";
  bool first = true;
  for (const auto& [name, shard] : sorted) {
    text += (first ? "\n    " : ",\n    ") + json::quoted(name) + ": " + json::quoted(files[shard]);
    first = false;
  }
  return text + (first ? "}\n}\n" : "\n  }\n}\n");
}

}  // namespace ferry::safetensors
