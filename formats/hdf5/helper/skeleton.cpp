#include "formats/hdf5/helper/skeleton.h"

#include <charconv>
#include <cstring>
#include <string>
#include <vector>

#include "formats/hdf5/helper/library.h"
#include "formats/hdf5/helper/types.h"
#include "formats/hdf5/protocol.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::hdf5::helper {
namespace {

using json::Value;

// Also the size from which on things are aligned: below it, every allocation would search the gaps that
// aligning has left, and a hundred thousand datasets would take minutes.
constexpr hsize_t kAlignment = 64;

[[noreturn]] void misunderstood(const std::string& what) {
  throw Error(Code::bad_usage, "skeleton: " + what);
}

const Value& member(const Value& object, std::string_view name) {
  const Value* value = object.find(name);
  if (value == nullptr) misunderstood("no " + std::string(name));
  return *value;
}

std::uint64_t natural_of(const Value& value) {
  const auto number = value.natural();
  if (!number) misunderstood("a number is no number");
  return *number;
}

const std::string& text_of(const Value& value) {
  if (value.text() == nullptr) misunderstood("a text is no text");
  return *value.text();
}

const Value::Array& array_of(const Value& value) {
  if (value.array() == nullptr) misunderstood("a list is no list");
  return *value.array();
}

Handle make_space(const Value* shape) {
  if (shape == nullptr || array_of(*shape).empty()) return own(H5Screate(H5S_SCALAR), "make a shape");
  std::vector<hsize_t> dims;
  for (const Value& dim : array_of(*shape)) dims.push_back(natural_of(dim));
  return own(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr), "make a shape");
}

// --- Properties: the order of creation is kept, dates are not.

Handle file_properties() {
  Handle properties = own(H5Pcreate(H5P_FILE_CREATE), "make properties");
  check(H5Pset_link_creation_order(properties.get(), H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED),
        "make properties");
  check(H5Pset_obj_track_times(properties.get(), false), "make properties");
  return properties;
}

Handle access_properties() {
  Handle properties = access_by_descriptor();
  check(H5Pset_alignment(properties.get(), kAlignment, kAlignment), "make properties");
  check(H5Pset_libver_bounds(properties.get(), H5F_LIBVER_EARLIEST, H5F_LIBVER_V110), "make properties");
  return properties;
}

Handle group_properties() {
  Handle properties = own(H5Pcreate(H5P_GROUP_CREATE), "make properties");
  check(H5Pset_link_creation_order(properties.get(), H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED),
        "make properties");
  check(H5Pset_obj_track_times(properties.get(), false), "make properties");
  return properties;
}

Handle dataset_properties() {
  Handle properties = own(H5Pcreate(H5P_DATASET_CREATE), "make properties");
  check(H5Pset_layout(properties.get(), H5D_CONTIGUOUS), "make properties");
  check(H5Pset_alloc_time(properties.get(), H5D_ALLOC_TIME_EARLY), "make properties");
  check(H5Pset_fill_time(properties.get(), H5D_FILL_TIME_NEVER), "make properties");
  check(H5Pset_obj_track_times(properties.get(), false), "make properties");
  return properties;
}

Handle utf8_link() {
  Handle properties = own(H5Pcreate(H5P_LINK_CREATE), "make properties");
  check(H5Pset_char_encoding(properties.get(), H5T_CSET_UTF8), "make properties");
  return properties;
}

// --- Attributes

void put_attribute(hid_t object, const std::string& name, hid_t type, const Value* shape,
                   const void* values) {
  const Handle encoding = own(H5Pcreate(H5P_ATTRIBUTE_CREATE), "make properties");
  check(H5Pset_char_encoding(encoding.get(), H5T_CSET_UTF8), "make properties");
  const Handle space = make_space(shape);
  const Handle attribute = own(
      H5Acreate2(object, name.c_str(), type, space.get(), encoding.get(), H5P_DEFAULT), "make an attribute");
  if (H5Sget_simple_extent_npoints(space.get()) > 0)
    check(H5Awrite(attribute.get(), type, values), "write an attribute");
}

// Strings of varying length, which h5py reads as str; those of fixed length it takes for bytes.
Handle make_text_type() {
  Handle type = own(H5Tcopy(H5T_C_S1), "make a type");
  check(H5Tset_size(type.get(), H5T_VARIABLE), "make a type");
  check(H5Tset_cset(type.get(), H5T_CSET_UTF8), "make a type");
  return type;
}

void put_texts(hid_t object, const std::string& name, const Value* shape, const Value::Array& values) {
  std::vector<const char*> texts;
  for (const Value& value : values) texts.push_back(text_of(value).c_str());
  put_attribute(object, name, make_text_type().get(), shape, texts.data());
}

double real_of(const Value& value) {
  const std::string& text = text_of(value);
  double number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc{} || end != text.data() + text.size()) misunderstood("a real is no real");
  return number;
}

template <typename T, typename Read>
std::vector<T> numbers_of(const Value::Array& values, const Read& read) {
  std::vector<T> numbers;
  for (const Value& value : values) numbers.push_back(read(value));
  return numbers;
}

std::int64_t integer_of(const Value& value) {
  const auto number = value.integer();
  if (!number) misunderstood("an integer is no integer");
  return *number;
}

signed char boolean_of(const Value& value) {
  const auto truth = value.boolean();
  if (!truth) misunderstood("a truth value is none");
  return *truth ? 1 : 0;
}

void put_attribute(hid_t object, const Value& attribute) {
  const std::string &name = text_of(member(attribute, "name")), &kind = text_of(member(attribute, "kind"));
  const Value* shape = attribute.find("shape");
  const Value::Array& values = array_of(member(attribute, "values"));
  const Handle space = make_space(shape);
  if (H5Sget_simple_extent_npoints(space.get()) != static_cast<hssize_t>(values.size()))
    misunderstood("values and shape of an attribute do not agree");
  if (kind == "text") {
    put_texts(object, name, shape, values);
  } else if (kind == "integer") {
    put_attribute(object, name, make_type("int64").get(), shape,
                  numbers_of<std::int64_t>(values, integer_of).data());
  } else if (kind == "real") {
    put_attribute(object, name, make_type("float64").get(), shape,
                  numbers_of<double>(values, real_of).data());
  } else if (kind == "boolean") {
    put_attribute(object, name, make_type("bool").get(), shape,
                  numbers_of<signed char>(values, boolean_of).data());
  } else {
    misunderstood("an attribute of kind " + quote(kind));
  }
}

void put_attributes(hid_t object, const Value& description) {
  const Value* attributes = description.find("attributes");
  if (attributes == nullptr) return;
  for (const Value& attribute : array_of(*attributes)) put_attribute(object, attribute);
}

// --- Objects

// Columns follow each other without gaps.
Handle make_table_type(const Value& columns) {
  std::vector<Handle> types;
  std::size_t size = 0;
  for (const Value& column : array_of(columns)) {
    types.push_back(make_type(text_of(member(column, "type"))));
    size += H5Tget_size(types.back().get());
  }
  Handle table = own(H5Tcreate(H5T_COMPOUND, size), "make a table");
  std::size_t offset = 0;
  for (std::size_t i = 0; i < types.size(); ++i) {
    const std::string& name = text_of(member(array_of(columns)[i], "name"));
    check(H5Tinsert(table.get(), name.c_str(), offset, types[i].get()), "make a column");
    offset += H5Tget_size(types[i].get());
  }
  return table;
}

class Builder {
 public:
  explicit Builder(const char* path)
      : file_(own(H5Fcreate(path, H5F_ACC_TRUNC, file_properties().get(), access_properties().get()),
                  "make a file")),
        group_properties_(group_properties()),
        dataset_properties_(dataset_properties()),
        link_(utf8_link()) {
    groups_.push_back(own(H5Gopen2(file_.get(), "/", H5P_DEFAULT), "open the root group"));
  }

  void put_root(const Value& object) { put_attributes(groups_[0].get(), object); }

  // The line of a dataset; empty for a group.
  std::string put(const Value& object) {
    const std::uint64_t parent = natural_of(member(object, "in"));
    if (parent >= groups_.size()) misunderstood("a group that is not there yet");
    const std::string& name = text_of(member(object, "name"));
    if (name.empty() || name == "." || name.find('/') != std::string::npos)
      misunderstood("HDF5 cannot hold the name " + quote(name));
    const hid_t group = groups_[static_cast<std::size_t>(parent)].get();
    if (text_of(member(object, "kind")) == "dataset") return put_dataset(group, name, object);
    groups_.push_back(own(H5Gcreate2(group, name.c_str(), link_.get(), group_properties_.get(), H5P_DEFAULT),
                          "make a group"));
    put_attributes(groups_.back().get(), object);
    return "";
  }

  void close() {
    groups_.clear();
    check(H5Fflush(file_.get(), H5F_SCOPE_LOCAL), "write the file");
    file_.reset();
  }

 private:
  std::string put_dataset(hid_t group, const std::string& name, const Value& object) {
    const std::string& type_name = text_of(member(object, "type"));
    const Handle type =
        type_name == "table" ? make_table_type(member(object, "columns")) : make_type(type_name);
    const Handle space = make_space(object.find("shape"));
    const Handle dataset = own(H5Dcreate2(group, name.c_str(), type.get(), space.get(), link_.get(),
                                          dataset_properties_.get(), H5P_DEFAULT),
                               "make a dataset");
    if (needs_mark(type_name)) {
      const char* mark = type_name.c_str();
      put_attribute(dataset.get(), "dtype", make_text_type().get(), nullptr, &mark);
    }
    put_attributes(dataset.get(), object);
    const bool empty = H5Sget_simple_extent_npoints(space.get()) == 0;
    protocol::LineWriter line;
    line.key("offset").natural(empty ? 0 : H5Dget_offset(dataset.get()));
    line.key("size").natural(empty ? 0 : H5Dget_storage_size(dataset.get()));
    return line.finish();
  }

  Handle file_, group_properties_, dataset_properties_, link_;
  std::vector<Handle> groups_;
};

}  // namespace

void make_skeleton(const char* path, const std::function<bool(Value&)>& next,
                   const std::function<void(std::string_view)>& tell) {
  Builder builder(path);
  Value object;
  if (!next(object)) misunderstood("no root group");
  builder.put_root(object);
  while (next(object)) {
    const std::string line = builder.put(object);
    if (!line.empty()) tell(line);
  }
  builder.close();
}

}  // namespace ferry::hdf5::helper
