#include "formats/hdf5/reader.h"

#include <algorithm>
#include <array>
#include <vector>

#include "formats/hdf5/file.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::hdf5 {
namespace {

constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
constexpr std::size_t kAttributesNamed = 10;
constexpr std::size_t kValueMax = 80;  // characters shown of each

// What libraries write beside every dataset for their own bookkeeping: dimension scales (H5DSpublic.h),
// netCDF-4, PyTables; and our own mark of a dtype.
bool is_boilerplate(std::string_view name) {
  static constexpr std::array<std::string_view, 11> kNames = {
      "dtype",   "CLASS",  "NAME",          "DIMENSION_LIST", "REFERENCE_LIST", "TITLE",
      "VERSION", "FLAVOR", "_Netcdf4Dimid", "_NCProperties",  "torchferry"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

std::string value_text(const Attribute& attribute) {
  if (!attribute.shape.empty() || attribute.kind == Attribute::Kind::other) return "";
  if (attribute.kind == Attribute::Kind::text) return " = " + quote(attribute.texts.at(0), kValueMax);
  if (attribute.kind == Attribute::Kind::real) return " = " + real_text(attribute.reals.at(0));
  if (attribute.kind == Attribute::Kind::boolean)
    return attribute.integers.at(0) != 0 ? " = true" : " = false";
  return " = " + std::to_string(attribute.integers.at(0));
}

class CheckpointBuilder {
 public:
  explicit CheckpointBuilder(const File& file) : file_(file), objects_(file.objects()) {}

  Checkpoint run() {
    checkpoint_.source = file_.source();
    checkpoint_.container.format = "hdf5";
    checkpoint_.values.reserve(2 * objects_.size() + 16, 2 * objects_.size());
    nodes_.resize(objects_.size(), kNoNode);
    entries_.resize(objects_.size());
    for (std::uint32_t i = 0; i < objects_.size(); ++i) add(i);
    for (std::uint32_t i = 0; i < objects_.size(); ++i)
      if (objects_[i].kind == Object::Kind::group) checkpoint_.values.set_items(nodes_[i], entries_[i]);
    checkpoint_.values.set_root(nodes_[0]);
    for (const Attribute& attribute : objects_[0].attributes)
      if (attribute.name == "torchferry" && attribute.kind == Attribute::Kind::text &&
          attribute.shape.empty())
        checkpoint_.container.provenance = attribute.texts.at(0);
    checkpoint_.note(
        nodes_[0], Code::no_checksums,
        "an HDF5 file carries no checksums of plain data: a flipped bit in a weight cannot be seen");
    return std::move(checkpoint_);
  }

 private:
  void add(std::uint32_t index) {
    const Object& object = objects_[index];
    const bool known = object.kind == Object::Kind::alias;
    nodes_[index] = known ? nodes_[object.same] : make_value(index);
    if (nodes_[index] == kNoNode) return note_link(index);
    if (object.parent != kNoObject) {
      std::vector<NodeId>& entries = entries_[object.parent];
      entries.push_back(checkpoint_.values.make_text(object.name));
      entries.push_back(nodes_[index]);
    }
    note_attributes(index);
  }

  NodeId make_value(std::uint32_t index) {
    const Object& object = objects_[index];
    if (object.kind == Object::Kind::link) return kNoNode;
    if (object.kind == Object::Kind::group) return checkpoint_.values.make_dict(DictFlavor::plain);
    switch (object.content) {
      case Object::Content::tensor:
        return checkpoint_.values.make_indexed(Kind::tensor, add_tensor(object));
      case Object::Content::texts:
        return make_texts(object);
      case Object::Content::nothing:
        return checkpoint_.values.make_none();
      case Object::Content::table:
        refuse(object, "a table, which is no tensor");
      default:
        refuse(object, object.reason.empty() ? "elements of an unknown kind" : object.reason);
    }
  }

  [[noreturn]] void refuse(const Object& object, const std::string& what) const {
    throw Error(Code::unsupported_tensor, "the dataset holds " + what)
        .in("in " + quote(file_.path_of(object)));
  }

  NodeId make_texts(const Object& object) {
    if (object.shape.empty()) return checkpoint_.values.make_text(object.texts.at(0));
    if (object.shape.size() > 1) refuse(object, "strings in more than one dimension");
    std::vector<NodeId> items;
    for (const std::string& text : object.texts) items.push_back(checkpoint_.values.make_text(text));
    return checkpoint_.values.make_list(items);
  }

  std::uint32_t add_tensor(const Object& object) {
    const DTypeInfo& type = info(object.dtype);
    const Payload payload = file_.payload(object);
    Storage storage;
    storage.key = file_.path_of(object);
    storage.dtype = object.dtype;
    storage.untyped = type.storage_class.empty();
    storage.numel = static_cast<std::int64_t>(payload.size / (storage.untyped ? 1u : type.itemsize));
    storage.bytes.source = payload.source;
    storage.bytes.offset = payload.offset;
    storage.bytes.size = storage.bytes.stored_size = payload.size;
    storage.bytes.big_endian = object.big_endian && type.swap_unit > 1;
    if (payload.source == checkpoint_.source)
      checkpoint_.container.records.push_back({storage.key, payload.offset, payload.size, payload.size, 0});
    checkpoint_.storages.push_back(std::move(storage));
    Tensor tensor;
    tensor.storage = static_cast<std::uint32_t>(checkpoint_.storages.size() - 1);
    tensor.dtype = object.dtype;
    tensor.rank = static_cast<std::uint16_t>(object.shape.size());
    tensor.dims = checkpoint_.add_dims(object.shape, strides_of(object.shape));
    checkpoint_.tensors.push_back(tensor);
    return static_cast<std::uint32_t>(checkpoint_.tensors.size() - 1);
  }

  // Row-major.  No overflow: the listing has multiplied all sizes; a shape with a zero has no elements, and
  // its other sizes may be anything.
  static std::vector<std::int64_t> strides_of(const std::vector<std::int64_t>& shape) {
    std::vector<std::int64_t> strides(shape.size(), 1);
    const bool empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
    for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = empty ? 1 : strides[i] * shape[i];
    return strides;
  }

  void note_link(std::uint32_t index) {
    const Object& object =
        objects_[index].kind == Object::Kind::alias ? objects_[objects_[index].same] : objects_[index];
    checkpoint_.note(nodes_[objects_[index].parent], Code::lost_value,
                     object.reason + " was left out: " + quote(path_of(objects_, index)));
  }

  void note_attributes(std::uint32_t index) {
    if (objects_[index].kind == Object::Kind::alias) return;
    std::string items;
    std::size_t count = 0;
    for (const Attribute& attribute : objects_[index].attributes) {
      if (is_boilerplate(attribute.name) || ++count > kAttributesNamed) continue;
      items += (count > 1 ? ", " : "") + quote(attribute.name, 40) + value_text(attribute);
    }
    if (count == 0) return;
    if (count > kAttributesNamed) items += ", and " + std::to_string(count - kAttributesNamed) + " more";
    checkpoint_.note(nodes_[index], Code::archive_metadata, "attributes in the file: " + items);
  }

  const File& file_;
  const std::vector<Object>& objects_;
  Checkpoint checkpoint_;
  std::vector<NodeId> nodes_;                 // by object
  std::vector<std::vector<NodeId>> entries_;  // keys and values in turn, by group
};

}  // namespace

Likeness looks_like_hdf5(const ByteSource& source) {
  std::array<std::byte, kSignature.size()> head;
  for (std::uint64_t at = 0; at + head.size() <= source.size(); at = at == 0 ? 512 : 2 * at) {
    source.read_at(at, head);
    if (as_text(head) == kSignature)
      return {true, at == 0 ? "it begins with the signature of HDF5"
                            : "it has the signature of HDF5 at byte " + std::to_string(at)};
  }
  return {false, "no signature of HDF5"};
}

Checkpoint checkpoint_of(const File& file) { return CheckpointBuilder(file).run(); }

Checkpoint open_hdf5(SourcePtr source, const Limits& limits) {
  return checkpoint_of(File::open(std::move(source), limits));
}

}  // namespace ferry::hdf5
