#include "formats/safetensors/reader.h"

#include <algorithm>
#include <array>
#include <map>

#include "formats/safetensors/header.h"
#include "src/core/text.h"

namespace ferry::safetensors {
namespace {

constexpr std::string_view kProvenanceKey = "torchferry";  // where a conversion came from
constexpr std::size_t kMetadataNamed = 10;
constexpr std::size_t kMetadataValueMax = 80;  // characters shown of each

// What save_file of the Python package writes by itself says nothing about the tensors.
bool is_boilerplate(const std::pair<std::string, std::string>& item) {
  if (item.first == kProvenanceKey) return true;
  static constexpr std::array<std::string_view, 7> kFrameworks = {"pt",  "np",  "tf",    "flax",
                                                                  "mlx", "jax", "paddle"};
  return item.first == "format" &&
         std::find(kFrameworks.begin(), kFrameworks.end(), item.second) != kFrameworks.end();
}

// A further name of a tensor that was tied, with the name under which it stands: so save_model of the Python
// package and huggingface_hub write it.
class Aliases {
 public:
  explicit Aliases(const Checkpoint& checkpoint) : graph_(checkpoint.values) {
    const NodeId root = graph_.root();
    for (std::size_t i = 0; i < graph_.entry_count(root); ++i) {
      const auto [key, value] = graph_.entry(root, i);
      tensors_.emplace(graph_.text(key), value);
    }
  }
  // The tensor, or kNoNode when the item says something else.
  NodeId tensor(const std::pair<std::string, std::string>& item) const {
    const auto kept = tensors_.find(item.second);
    return kept == tensors_.end() || tensors_.contains(item.first) || item.first == "format" ? kNoNode
                                                                                             : kept->second;
  }

 private:
  const ValueGraph& graph_;
  std::map<std::string, NodeId, std::less<>> tensors_;
};

void take_provenance(Checkpoint& checkpoint, const Header& header) {
  for (const auto& item : header.metadata)
    if (item.first == kProvenanceKey) checkpoint.container.provenance = item.second;
}

void add_aliases(Checkpoint& checkpoint, Header& header) {
  // Most files have nothing else, and then no map of all names is needed.
  if (std::all_of(header.metadata.begin(), header.metadata.end(), is_boilerplate)) return;
  const Aliases aliases(checkpoint);
  std::vector<NodeId> items;
  std::erase_if(header.metadata, [&](const auto& item) {
    const NodeId tensor = aliases.tensor(item);
    if (tensor != kNoNode) items.insert(items.end(), {checkpoint.values.make_text(item.first), tensor});
    return tensor != kNoNode;
  });
  checkpoint.values.append(checkpoint.values.root(), items);
}

void note_metadata(Checkpoint& checkpoint, const Header& header) {
  std::string items;
  std::size_t count = 0;
  for (const auto& item : header.metadata) {
    if (is_boilerplate(item) || ++count > kMetadataNamed) continue;
    items += (count > 1 ? ", " : "") + quote(item.first, 40) + " = " + quote(item.second, kMetadataValueMax);
  }
  if (count == 0) return;
  if (count > kMetadataNamed) items += ", and " + std::to_string(count - kMetadataNamed) + " more";
  checkpoint.note(checkpoint.values.root(), Code::archive_metadata, "metadata of the file: " + items);
}

// C order, as all data of the format is.
std::vector<std::int64_t> strides_of(std::span<const std::int64_t> shape) {
  std::vector<std::int64_t> strides(shape.size());
  std::int64_t step = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = step;
    // No overflow: read_header has multiplied all sizes but the zeros.
    step *= std::max<std::int64_t>(shape[i], 1);
  }
  return strides;
}

std::uint32_t add_tensor(Checkpoint& checkpoint, const Header& header, Entry& entry) {
  const DTypeInfo& type = info(entry.dtype);
  Storage storage;
  storage.key = std::move(entry.name);
  storage.dtype = entry.dtype;
  storage.untyped = type.storage_class.empty();
  storage.numel = static_cast<std::int64_t>(entry.range.size / (storage.untyped ? 1u : type.itemsize));
  storage.bytes.source = checkpoint.source;
  storage.bytes.offset = entry.range.offset;
  storage.bytes.size = storage.bytes.stored_size = entry.range.size;
  checkpoint.storages.push_back(std::move(storage));
  const auto shape = std::span(header.sizes).subspan(entry.shape, entry.rank);
  Tensor tensor;
  tensor.storage = static_cast<std::uint32_t>(checkpoint.storages.size() - 1);
  tensor.dtype = entry.dtype;
  tensor.rank = entry.rank;
  tensor.dims = checkpoint.add_dims(shape, strides_of(shape));
  checkpoint.tensors.push_back(tensor);
  return static_cast<std::uint32_t>(checkpoint.tensors.size() - 1);
}

}  // namespace

Likeness looks_like_safetensors(const ByteSource& source) {
  const bool named = source.name().ends_with(".safetensors");
  if (source.size() <= kLengthBytes)
    return {named && source.size() > 0, "the file is shorter than the header of a safetensors file"};
  const auto head = source.read({0, kLengthBytes + 1});
  const auto size = load_le<std::uint64_t>(head.data());
  const bool brace = head[kLengthBytes] == std::byte{'{'};
  if (brace && size <= source.size() - kLengthBytes)
    return {true, "it begins with the size of a JSON header"};
  // No pickle, archive or text has zeros there.
  if (named && (size <= UINT32_MAX || brace)) return {true, "it is named .safetensors"};
  return {false, "it does not begin with the size of a JSON header"};
}

Checkpoint open_safetensors(SourcePtr source, const Limits&) {
  Header header = read_header(*source);
  Checkpoint checkpoint;
  checkpoint.source = std::move(source);
  checkpoint.container.format = "safetensors";
  take_provenance(checkpoint, header);
  const std::size_t count = header.entries.size();
  checkpoint.storages.reserve(count);
  checkpoint.tensors.reserve(count);
  checkpoint.dims.reserve(2 * header.sizes.size());
  checkpoint.values.reserve(2 * count + 16, 2 * count);
  std::vector<NodeId> items;
  items.reserve(2 * count);
  for (Entry& entry : header.entries) {
    const auto at = static_cast<std::uint32_t>(std::min<std::uint64_t>(entry.at, UINT32_MAX));
    items.push_back(checkpoint.values.make_text(entry.name, at));
    items.push_back(checkpoint.values.make_indexed(Kind::tensor, add_tensor(checkpoint, header, entry), at));
  }
  const NodeId root = checkpoint.values.make_dict(DictFlavor::plain);
  checkpoint.values.set_items(root, items);
  checkpoint.values.set_root(root);
  add_aliases(checkpoint, header);
  note_metadata(checkpoint, header);
  checkpoint.note(root, Code::no_checksums,
                  "a safetensors file carries no checksums: a flipped bit in a weight cannot be seen");
  return checkpoint;
}

}  // namespace ferry::safetensors
