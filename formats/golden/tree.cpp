#include "formats/golden/tree.h"

#include <algorithm>

#include "formats/golden/layout.h"
#include "formats/hdf5/file.h"
#include "formats/hdf5/reader.h"
#include "formats/json/json.h"
#include "formats/numpy/readers.h"
#include "formats/zip/crc32.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::golden {
namespace {

constexpr std::uint64_t kAttributesMax = std::uint64_t{256} << 20;  // bytes of JSON

std::string without_slash(std::string_view path) {
  return std::string(path.starts_with('/') ? path.substr(1) : path);
}

// Every array has a storage of its own, whose key is its path.
void add_arrays(Tree& tree) {
  for (std::uint32_t i = 0; i < tree.data.tensors.size(); ++i) {
    const std::string& key = tree.data.storages[tree.data.tensors[i].storage].key;
    tree.nodes[without_slash(key)].tensor = i;
  }
}

// {"<path>": {"<name>": number or text}}, read as it comes: there may be a hundred thousand paths.
class AttributeEvents final : public json::Events {
 public:
  explicit AttributeEvents(Tree& tree) : tree_(tree) {}

  void null() override { refuse("nothing"); }
  void boolean(bool value) override { add(std::int64_t{value}); }
  void integer(std::int64_t value) override { add(value); }
  void natural(std::uint64_t value) override { add(static_cast<double>(value)); }
  void real(double value) override { add(value); }
  void text(std::string& value) override { add(std::move(value)); }
  void begin_array() override { refuse("a list"); }
  void end_array() override {}
  void begin_object() override {
    if (++depth_ > 2) refuse("an object");
  }
  void end_object() override { --depth_; }
  void key(std::string& name) override {
    if (depth_ == 1)
      node_ = &tree_.nodes[name];
    else
      name_ = std::move(name);
  }

 private:
  void add(TreeValue value) {
    if (depth_ != 2) refuse("a value");
    node_->attributes.emplace_back(std::move(name_), std::move(value));
  }
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(Code::bad_golden,
                what + " where the attributes of a path, or a number or text of one, should be")
        .at(offset());
  }

  Tree& tree_;
  TreeNode* node_ = nullptr;
  std::string name_;
  int depth_ = 0;
};

// The text in the member of attributes: a row of bytes.
std::string attributes_text(const Checkpoint& data, const Tensor& tensor) {
  const Storage& storage = data.storages[tensor.storage];
  if (tensor.dtype != DType::uint8 || tensor.rank != 1)
    throw Error(Code::bad_golden, "the attributes are no row of uint8");
  if (storage.bytes.size > kAttributesMax)
    throw Error(Code::limit_exceeded, "the attributes have " + iec_size(storage.bytes.size));
  const auto bytes = storage.bytes.source->read({storage.bytes.offset, storage.bytes.size});
  if (storage.bytes.crc && *storage.bytes.crc != zip::crc32(0, bytes))
    throw Error(Code::checksum_mismatch, "the attributes do not give the CRC-32 that was stored with them");
  return std::string(as_text(Bytes(bytes)));
}

std::optional<TreeValue> value_of(const hdf5::Attribute& attribute) {
  using Kind = hdf5::Attribute::Kind;
  const bool one =
      std::all_of(attribute.shape.begin(), attribute.shape.end(), [](auto size) { return size == 1; });
  if (!one) return std::nullopt;
  if (attribute.kind == Kind::text) return attribute.texts.at(0);
  if (attribute.kind == Kind::real) return attribute.reals.at(0);
  if (attribute.kind == Kind::integer || attribute.kind == Kind::boolean) return attribute.integers.at(0);
  return std::nullopt;
}

}  // namespace

const TreeValue* TreeNode::find(std::string_view name) const {
  for (const auto& [known, value] : attributes)
    if (known == name) return &value;
  return nullptr;
}

Tree read_npz_tree(SourcePtr source, const Limits& limits) {
  Tree tree;
  tree.data = numpy::open_npz(std::move(source), limits);
  add_arrays(tree);
  const auto member = tree.nodes.find(std::string(kAttributesMember));
  if (member == tree.nodes.end() || !member->second.tensor)
    throw Error(Code::bad_golden, "the archive has no member of attributes, " + quote(kAttributesMember));
  const Tensor tensor = tree.data.tensors[*member->second.tensor];
  tree.nodes.erase(member);
  try {
    const std::string text = attributes_text(tree.data, tensor);
    AttributeEvents events(tree);
    json::read(text, {.size_max = kAttributesMax, .broken = Code::bad_golden}, events);
  } catch (Error& error) {
    error.in("in " + quote(kAttributesMember));
    throw;
  }
  return tree;
}

Tree read_hdf5_tree(SourcePtr source, const Limits& limits) {
  const hdf5::File file = hdf5::File::open(std::move(source), limits);
  Tree tree;
  tree.data = hdf5::checkpoint_of(file);
  add_arrays(tree);
  for (const hdf5::Object& object : file.objects()) {
    if (object.kind != hdf5::Object::Kind::group && object.kind != hdf5::Object::Kind::dataset) continue;
    TreeNode& node = tree.nodes[without_slash(file.path_of(object))];
    for (const hdf5::Attribute& attribute : object.attributes)
      if (auto value = value_of(attribute)) node.attributes.emplace_back(attribute.name, std::move(*value));
  }
  return tree;
}

}  // namespace ferry::golden
