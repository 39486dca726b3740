// Writing safetensors: the header and the places of all tensors, decided from names, types and shapes alone.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "src/core/bytes.h"
#include "src/core/dtype.h"

namespace ferry::safetensors {

struct TensorSpec {
  std::string name;
  DType dtype = DType::float32;
  std::vector<std::int64_t> shape;  // as torch counts it
};

// Nothing where the format has no name for the type.
bool has_name(DType dtype);

struct Layout {
  std::vector<std::uint32_t> order;  // tensors in the order of the file: by type, then by name
  std::vector<ByteRange> places;     // by tensor; all follow each other from the end of the header on
  std::string header;                // with its size before it and its padding
  std::uint64_t size = 0;            // of the whole file
};

// As the Rust library writes it.  Metadata are written in the order given.  Throws Code::target_lacks for a
// type without a name and for the name "__metadata__", Code::limit_exceeded for a header above 100 MB.
Layout plan_layout(std::span<const TensorSpec> tensors,
                   std::span<const std::pair<std::string, std::string>> metadata);

// Shards of at most `size_max` bytes of tensors in the order given, as huggingface_hub splits them: a tensor
// that is larger has a shard to itself.  Returns the shard of every tensor.
std::vector<std::uint32_t> split(std::span<const TensorSpec> tensors, std::uint64_t size_max);

std::uint64_t size_bytes(const TensorSpec& tensor);

// "model-00001-of-00002.safetensors"
std::string shard_name(std::string_view stem, std::size_t shard, std::size_t count);

// The text of model.safetensors.index.json, as Python's json.dumps(indent=2, sort_keys=True) lays it out.
std::string index_text(std::span<const TensorSpec> tensors, std::span<const std::uint32_t> shards,
                       std::span<const std::string> files);

}  // namespace ferry::safetensors
