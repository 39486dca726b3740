#include "src/cli/tensor_files.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <set>

#include "formats/hdf5/names.h"
#include "formats/hdf5/reader.h"
#include "formats/json/json.h"
#include "formats/numpy/readers.h"
#include "formats/numpy/write.h"
#include "formats/safetensors/reader.h"
#include "formats/zip/crc32.h"
#include "formats/zip/encode.h"
#include "src/core/error.h"
#include "src/core/limits.h"
#include "src/core/text.h"

namespace ferry::cli {
namespace {

const std::string kNoHash(32, '0');

SourcePtr borrowed(const ByteSource& source) { return SourcePtr(SourcePtr(), &source); }

// The tensors that a reader finds are those that were planned, at their places.
void compare(const Checkpoint& read, std::vector<Expected> expected) {
  struct Found {
    const Tensor* tensor;
    const Storage* storage;
  };
  std::vector<Found> found;
  for (const Tensor& tensor : read.tensors) found.push_back({&tensor, &read.storages[tensor.storage]});
  std::sort(found.begin(), found.end(),
            [](const Found& a, const Found& b) { return a.storage->key < b.storage->key; });
  std::sort(expected.begin(), expected.end(),
            [](const Expected& a, const Expected& b) { return a.key < b.key; });
  if (found.size() != expected.size())
    copy::fail_verification("it has " + std::to_string(found.size()) + " tensors, planned were " +
                                std::to_string(expected.size()),
                            "");
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto& [key, spec, offset] = expected[i];
    const auto shape = read.shape(*found[i].tensor);
    if (found[i].storage->key != key)
      copy::fail_verification("a tensor is called " + quote(found[i].storage->key), key);
    if (found[i].tensor->dtype != spec->dtype ||
        !std::equal(shape.begin(), shape.end(), spec->shape.begin(), spec->shape.end()))
      copy::fail_verification("a tensor has another type or shape", key);
    const StorageBytes& bytes = found[i].storage->bytes;
    if (bytes.size != safetensors::size_bytes(*spec) || bytes.big_endian ||
        (bytes.size > 0 && bytes.offset != offset))
      copy::fail_verification("a tensor has another size or place", key);
  }
}

copy::Record record_of(std::string name, std::uint32_t storage, std::uint64_t begin, ByteRange data,
                       std::uint64_t end) {
  copy::Record record;
  record.name = std::move(name);
  record.storage = storage;
  record.begin = begin;
  record.data_offset = data.offset;
  record.size = data.size;
  record.end = end;
  return record;
}

}  // namespace

// --- safetensors

SafetensorsFile::SafetensorsFile(const TensorSpecs& specs, std::span<const std::uint32_t> members,
                                 std::span<const state::Alias> aliases, const torch::Provenance& provenance)
    : provenance_(provenance) {
  std::set<std::string_view> here;
  for (const std::uint32_t i : members) {
    specs_.push_back(specs[i]);
    here.insert(specs[i].name);
  }
  for (const state::Alias& alias : aliases)
    if (here.contains(alias.kept)) aliases_.emplace_back(alias.name, alias.kept);
  const safetensors::Layout planned = layout(kNoHash);
  for (const std::uint32_t i : planned.order) {
    const ByteRange data = planned.places[i];
    plan_.records.push_back(record_of(specs_[i].name, members[i], data.offset, data, data.end()));
  }
  plan_.size = planned.size;
}

// {"format": "pt"} is what transformers looks for; a further name of a tied tensor stands with the kept one
// as its value, as safetensors.torch.save_model writes it.
safetensors::Layout SafetensorsFile::layout(std::string_view source_hash) const {
  std::vector<std::pair<std::string, std::string>> metadata{{"format", "pt"}};
  std::string provenance = torch::provenance_text(provenance_, source_hash);
  provenance.pop_back();  // its line feed
  metadata.emplace_back("torchferry", std::move(provenance));
  for (const auto& alias : aliases_) {
    const bool taken = alias.first == "format" || alias.first == "torchferry";
    if (taken)
      throw Error(Code::target_lacks, "safetensors keeps the names of tied tensors in its metadata, where " +
                                          quote(alias.first) + " is taken");
    metadata.push_back(alias);
  }
  return safetensors::plan_layout(specs_, metadata);
}

void SafetensorsFile::finish(FileSink& sink, std::vector<std::uint32_t>&,
                             std::string_view source_hash) const {
  sink.write_at(0, as_bytes(layout(source_hash).header));
}

void SafetensorsFile::verify_structure(const ByteSource& written, const std::vector<std::uint32_t>&) const {
  const safetensors::Layout planned = layout(kNoHash);
  std::vector<Expected> expected;
  for (std::size_t i = 0; i < specs_.size(); ++i)
    expected.push_back({specs_[i].name, &specs_[i], planned.places[i].offset});
  compare(safetensors::open_safetensors(borrowed(written), Limits{}), std::move(expected));
}

// --- npz

NpzFile::NpzFile(TensorSpecs specs) : specs_(std::move(specs)) {
  std::set<std::string> taken;
  std::uint64_t offset = 0;
  std::vector<zip::Entry> entries;
  for (std::uint32_t i = 0; i < specs_.size(); ++i) {
    const auto& spec = specs_[i];
    try {
      headers_.push_back(numpy::array_header(spec.dtype, spec.shape));
    } catch (Error& error) {
      error.in("in " + quote(spec.name)).with_hint("leave it out with --exclude, or write another target");
      throw;
    }
    std::string folded = spec.name;
    std::transform(folded.begin(), folded.end(), folded.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    if (!taken.insert(folded).second || spec.name.find('\0') != std::string::npos)
      throw Error(Code::target_lacks,
                  "an npz file cannot hold two names that differ in case only, or a NUL in one")
          .in("in " + quote(spec.name))
          .with_hint("--rename or --exclude it, or write another target");
    const std::uint64_t data = safetensors::size_bytes(spec), size = headers_.back().size() + data;
    plan_.records.push_back(record_of(spec.name + ".npy", i, offset, {0, data}, 0));
    copy::Record& record = plan_.records.back();
    record.data_offset = offset + zip::local_header_size(record.name, size, offset) + headers_.back().size();
    record.end = record.data_offset + data + zip::descriptor_size(size, offset);
    entries.push_back({record.name, size, 0, offset});
    offset = record.end;
  }
  for (std::size_t i = 0; i < entries.size(); ++i) entries[i].name = plan_.records[i].name;
  directory_offset_ = offset;
  plan_.size = offset + zip::directory_size(entries);
}

std::uint32_t NpzFile::member_crc(std::size_t i, std::uint32_t crc) const {
  return zip::crc32_combine(zip::crc32(0, as_bytes(headers_[i])), crc, plan_.records[i].size);
}

void NpzFile::put_before(std::size_t i, std::uint32_t crc, std::span<std::byte> out) const {
  const copy::Record& record = plan_.records[i];
  const std::size_t own = out.size() - headers_[i].size();
  zip::put_local_header({record.name, headers_[i].size() + record.size, member_crc(i, crc), record.begin},
                        out.first(own));
  std::memcpy(&out[own], headers_[i].data(), headers_[i].size());
}

void NpzFile::put_after(std::size_t i, std::uint32_t crc, std::span<std::byte> out) const {
  const copy::Record& record = plan_.records[i];
  zip::put_descriptor({record.name, headers_[i].size() + record.size, member_crc(i, crc), record.begin}, out);
}

void NpzFile::finish(FileSink& sink, std::vector<std::uint32_t>& crcs, std::string_view) const {
  std::vector<zip::Entry> entries;
  for (std::size_t i = 0; i < plan_.records.size(); ++i) {
    const copy::Record& record = plan_.records[i];
    entries.push_back({record.name, headers_[i].size() + record.size, member_crc(i, crcs[i]), record.begin});
  }
  sink.write_at(directory_offset_, zip::directory(entries, directory_offset_));
}

void NpzFile::verify_structure(const ByteSource& written, const std::vector<std::uint32_t>&) const {
  std::vector<Expected> expected;
  for (std::size_t i = 0; i < specs_.size(); ++i)
    expected.push_back({specs_[i].name, &specs_[i], plan_.records[i].data_offset});
  compare(numpy::open_npz(borrowed(written), Limits{}), std::move(expected));
}

// --- HDF5

namespace {

// Attributes are for people who look with h5py; what is read back is the tree.  Large dicts would overflow
// the header of their group.
constexpr std::size_t kAttributesMost = 200, kAttributeTextMost = 200;
constexpr std::string_view kProvenanceAttribute = "torchferry";

bool fits_as_attribute(const ValueGraph& graph, const state::Scalar& scalar) {
  const std::string& name = scalar.parts.back();
  if (name.empty() || name == "." || name.size() > kAttributeTextMost || !is_utf8(name, false) ||
      name.find_first_of(std::string_view("/\0", 2)) != std::string::npos)
    return false;
  if (graph.kind(scalar.node) != Kind::text) return true;
  const std::string_view text = graph.text(scalar.node);
  return text.size() <= kAttributeTextMost && is_utf8(text, false) &&
         text.find('\0') == std::string_view::npos;
}

hdf5::Attribute attribute_of(const ValueGraph& graph, const state::Scalar& scalar) {
  const std::string& name = scalar.parts.back();
  switch (graph.kind(scalar.node)) {
    case Kind::integer:
      return hdf5::integer_attribute(name, graph.integer(scalar.node));
    case Kind::real:
      return hdf5::real_attribute(name, graph.real(scalar.node));
    case Kind::boolean:
      return hdf5::boolean_attribute(name, graph.boolean(scalar.node));
    default:
      return hdf5::text_attribute(name, std::string(graph.text(scalar.node)));
  }
}

std::vector<std::string> link_path(std::span<const std::string> parts, std::string_view name) {
  std::vector<std::string> path;
  for (const std::string& part : parts) path.push_back(hdf5::link_name(part));
  if (path.empty()) path.push_back(hdf5::link_name(name));
  return path;
}

using Groups = std::map<std::vector<std::string>, std::vector<hdf5::Attribute>>;

Groups groups_of(const Checkpoint& checkpoint, const state::Flat& flat) {
  Groups groups;
  groups[{}];
  for (const state::Scalar& scalar : flat.scalars) {
    if (!fits_as_attribute(checkpoint.values, scalar)) continue;
    std::vector<std::string> path;
    for (std::size_t i = 0; i + 1 < scalar.parts.size(); ++i)
      path.push_back(hdf5::link_name(scalar.parts[i]));
    auto& attributes = groups[path];
    const bool taken = std::any_of(attributes.begin(), attributes.end(), [&](const hdf5::Attribute& other) {
      return other.name == scalar.parts.back();
    });
    const bool reserved = path.empty() && scalar.parts.back() == kProvenanceAttribute;
    if (attributes.size() < kAttributesMost && !taken && !reserved)
      attributes.push_back(attribute_of(checkpoint.values, scalar));
  }
  return groups;
}

}  // namespace

Hdf5File::Hdf5File(const Checkpoint& checkpoint, const state::Flat& flat, TensorSpecs specs,
                   const torch::Provenance& provenance)
    : specs_(std::move(specs)) {
  std::vector<hdf5::ObjectSpec> objects;
  const std::string source = torch::provenance_text(provenance, kNoHash);
  for (auto& [path, attributes] : groups_of(checkpoint, flat)) {  // a group comes before what is in it
    hdf5::ObjectSpec group;
    group.path = path;
    group.attributes = std::move(attributes);
    if (path.empty())
      group.attributes.push_back(hdf5::text_attribute(std::string(kProvenanceAttribute), source));
    objects.push_back(std::move(group));
  }
  const std::size_t first = objects.size();
  for (std::size_t i = 0; i < specs_.size(); ++i) {
    hdf5::ObjectSpec dataset;
    dataset.path = link_path(flat.tensors[i].parts, specs_[i].name);
    dataset.type = info(specs_[i].dtype).name;
    dataset.shape = specs_[i].shape;
    std::string& key = keys_.emplace_back();
    for (const std::string& name : dataset.path) key += "/" + name;
    objects.push_back(std::move(dataset));
  }
  const std::string document = flat.needed ? state::document(flat, "") : "";
  if (flat.needed) {
    hdf5::ObjectSpec dataset;
    dataset.path = {std::string(kStateDataset)};
    dataset.type = "uint8";
    dataset.shape = {static_cast<std::int64_t>(document.size())};
    objects.push_back(std::move(dataset));
  }
  skeleton_ = hdf5::make_skeleton(objects);
  places_.assign(skeleton_.payloads.begin() + static_cast<std::ptrdiff_t>(first), skeleton_.payloads.end());

  std::vector<std::uint32_t> order(places_.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return places_[a].offset < places_[b].offset; });
  std::uint64_t end = 0;
  for (const std::uint32_t i : order) {
    if (places_[i].size == 0) continue;
    const bool is_state = i == specs_.size();
    plan_.records.push_back(record_of(is_state ? std::string(kStateDataset) : specs_[i].name,
                                      is_state ? kNoStorage : i, end, places_[i], places_[i].end()));
    if (is_state) {
      const Bytes bytes = as_bytes(document);
      plan_.records.back().made.assign(bytes.begin(), bytes.end());
    }
    end = places_[i].end();
  }
  plan_.size = skeleton_.size;
  // Texts of attributes lie as they are in some run of the metadata.
  std::size_t found = 0;
  for (const hdf5::Skeleton::Run& run : skeleton_.metadata)
    for (std::size_t at = as_text(run.bytes).find(source); at != std::string_view::npos;
         at = as_text(run.bytes).find(source, at + 1)) {
      hash_offset_ = run.offset + at + source.find(kNoHash);
      ++found;
    }
  if (found != 1) throw Error(Code::internal, "the provenance is not once in the metadata of the HDF5 file");
}

Bytes Hdf5File::metadata(std::uint64_t begin, std::uint64_t end) const {
  const auto after = std::upper_bound(
      skeleton_.metadata.begin(), skeleton_.metadata.end(), begin,
      [](std::uint64_t offset, const hdf5::Skeleton::Run& run) { return offset < run.offset; });
  if (begin == end || after == skeleton_.metadata.begin()) return {};
  const hdf5::Skeleton::Run& run = *(after - 1);
  return Bytes(run.bytes).subspan(static_cast<std::size_t>(begin - run.offset),
                                  static_cast<std::size_t>(end - begin));
}

void Hdf5File::put_before(std::size_t i, std::uint32_t, std::span<std::byte> out) const {
  const copy::Record& record = plan_.records[i];
  const Bytes bytes = metadata(record.begin, record.data_offset);
  if (!bytes.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
}

void Hdf5File::finish(FileSink& sink, std::vector<std::uint32_t>&, std::string_view source_hash) const {
  const std::uint64_t end = plan_.records.empty() ? 0 : plan_.records.back().end;
  if (end < plan_.size) sink.write_at(end, metadata(end, plan_.size));
  sink.write_at(hash_offset_, as_bytes(source_hash));
}

void Hdf5File::verify_structure(const ByteSource& written, const std::vector<std::uint32_t>&) const {
  std::vector<Expected> expected;
  for (std::size_t i = 0; i < specs_.size(); ++i)
    expected.push_back({keys_[i], &specs_[i], places_[i].offset});
  safetensors::TensorSpec state;
  if (places_.size() > specs_.size()) {
    state.dtype = DType::uint8;
    state.shape = {static_cast<std::int64_t>(places_.back().size)};
    expected.push_back({"/" + std::string(kStateDataset), &state, places_.back().offset});
  }
  compare(hdf5::open_hdf5(borrowed(written), Limits{}), std::move(expected));
}

// --- Text

TextFile::TextFile(Make make) : make_(std::move(make)) {
  plan_.size = make_(kNoHash).size();
  plan_.records.push_back(record_of("text", kNoStorage, 0, {0, plan_.size}, plan_.size));
}

void TextFile::finish(FileSink& sink, std::vector<std::uint32_t>& crcs, std::string_view source_hash) const {
  const std::string text = make_(source_hash);
  crcs[0] = zip::crc32(0, as_bytes(text));
  sink.write_at(0, as_bytes(text));
}

void TextFile::verify_structure(const ByteSource& written, const std::vector<std::uint32_t>&) const {
  const auto bytes = written.read({0, written.size()});
  json::Rules rules;
  rules.depth_max = 1000;
  rules.size_max = UINT64_MAX;
  json::parse(as_text(Bytes(bytes)), rules);
}

}  // namespace ferry::cli
