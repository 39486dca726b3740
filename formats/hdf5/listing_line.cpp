#include "formats/hdf5/listing_line.h"

#include <charconv>

#include "src/core/checked.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::hdf5 {
namespace {

using json::Value;

// --- Members of a line

std::string text_of(const Value& value) {
  if (value.text() == nullptr) misunderstood("a text is no text");
  return *value.text();
}

std::string text_in(const Value& line, std::string_view name) {
  const Value* value = line.find(name);
  return value == nullptr ? std::string() : text_of(*value);
}

std::optional<std::uint64_t> natural_in(const Value& line, std::string_view name) {
  const Value* value = line.find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->natural()) misunderstood(std::string(name) + " is no natural number");
  return value->natural();
}

std::uint64_t needed(const Value& line, std::string_view name) {
  const auto number = natural_in(line, name);
  if (!number) misunderstood("no " + std::string(name));
  return *number;
}

const Value::Array& array_in(const Value& line, std::string_view name) {
  const Value* value = line.find(name);
  if (value == nullptr || value->array() == nullptr) misunderstood("no list of " + std::string(name));
  return *value->array();
}

bool flag_in(const Value& line, std::string_view name) {
  const Value* value = line.find(name);
  return value != nullptr && value->boolean().value_or(false);
}

std::vector<std::int64_t> shape_in(const Value& line) {
  std::vector<std::int64_t> shape;
  for (const Value& dim : array_in(line, "shape")) {
    if (!dim.integer() || *dim.integer() < 0) misunderstood("a dimension is no natural number");
    shape.push_back(*dim.integer());
  }
  return shape;
}

// --- Attributes

double real_of(const Value& value) {
  const std::string text = text_of(value);
  double number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc{} || end != text.data() + text.size()) misunderstood("a real is no real");
  return number;
}

bool read_value(Attribute& attribute, const Value& value) {
  switch (attribute.kind) {
    case Attribute::Kind::text:
      attribute.texts.push_back(text_of(value));
      return true;
    case Attribute::Kind::real:
      attribute.reals.push_back(real_of(value));
      return true;
    case Attribute::Kind::boolean:
      attribute.integers.push_back(value.boolean().value_or(false) ? 1 : 0);
      return true;
    default:
      if (!value.integer()) return false;
      attribute.integers.push_back(*value.integer());
      return true;
  }
}

Attribute read_attribute(const Value& line) {
  Attribute result;
  result.name = text_in(line, "name");
  const std::string kind = text_in(line, "kind");
  result.reason = text_in(line, "reason");
  if (kind == "text") result.kind = Attribute::Kind::text;
  if (kind == "integer") result.kind = Attribute::Kind::integer;
  if (kind == "real") result.kind = Attribute::Kind::real;
  if (kind == "boolean") result.kind = Attribute::Kind::boolean;
  if (result.kind == Attribute::Kind::other) return result;
  result.shape = shape_in(line);
  for (const Value& value : array_in(line, "values")) {
    if (read_value(result, value)) continue;
    Attribute other;
    other.name = result.name;
    other.reason = "integers above the range of int64";
    return other;
  }
  return result;
}

// --- Datasets

// bfloat16 and the types of 8 bits are kept as unsigned integers beside the name of what they are.
std::optional<DType> marked_dtype(const Object& object, DType stored) {
  const auto mark = object.text_attribute("dtype");
  if (!mark) return std::nullopt;
  const bool wide = *mark == "bfloat16" && stored == DType::uint16;
  const bool narrow =
      (mark->starts_with("float8_") || mark->starts_with("float4_")) && stored == DType::uint8;
  return wide || narrow ? dtype_by_name(*mark) : std::nullopt;
}

void read_columns(const Value& line, Object& object) {
  for (const Value& entry : array_in(line, "columns")) {
    Column column{text_in(entry, "name"), text_in(entry, "type"), needed(entry, "offset"),
                  needed(entry, "size"), flag_in(entry, "big_endian")};
    if (!fits(column.offset, column.size, object.itemsize))
      throw Error(Code::bad_hdf5, "column " + quote(column.name) + " lies outside its row");
    object.columns.push_back(std::move(column));
  }
}

void read_type(const Value& line, Object& object) {
  const std::string type = text_in(line, "type");
  object.itemsize = needed(line, "itemsize");
  object.big_endian = flag_in(line, "big_endian");
  if (const auto dtype = dtype_by_name(type)) {
    if (info(*dtype).itemsize != object.itemsize) misunderstood("a size that the type does not have");
    object.dtype = marked_dtype(object, *dtype).value_or(*dtype);
    object.content = Object::Content::tensor;
  } else if (type == "table") {
    read_columns(line, object);
    object.content = Object::Content::table;
  } else if (type == "string") {
    object.content = Object::Content::texts;
  }
}

// A payload that is no plain bytes can be larger than the file, by as much as deflate can make it, but not by
// what a file of two kilobytes likes to claim: datasets that were never written have no bytes at all.
void check_claim(const Object& object, std::uint64_t stored) {
  constexpr std::uint64_t kRatioMax = 1032, kFreeBytes = 16 << 20;  // deflate: 258 bytes from 2 bits
  const auto yield = checked_mul(stored, kRatioMax).value_or(UINT64_MAX - kFreeBytes);
  if (object.size > std::min(yield, UINT64_MAX - kFreeBytes) + kFreeBytes)
    throw Error(Code::limit_exceeded,
                "the dataset claims " + iec_size(object.size) + " where " + iec_size(stored) + " are stored");
}

void read_place(const Value& line, Object& object, std::uint64_t file_size) {
  const auto numel = checked_numel(object.shape);
  const auto size = numel ? checked_mul(static_cast<std::uint64_t>(*numel), object.itemsize) : std::nullopt;
  if (!size || *size > INT64_MAX) throw Error(Code::bad_hdf5, "the dataset is larger than anything can be");
  object.size = *size;
  if (object.size == 0 || !object.reason.empty()) return;
  const std::uint64_t stored = needed(line, "stored");
  object.plain = !flag_in(line, "pipe");
  if (!object.plain) return check_claim(object, stored);
  object.offset = needed(line, "offset");
  if (stored != object.size)
    throw Error(Code::bad_hdf5, "the dataset needs " + std::to_string(object.size) + " bytes and has " +
                                    std::to_string(stored));
  if (!fits(object.offset, object.size, file_size))
    throw Error(Code::truncated, "the dataset has " + std::to_string(object.size) +
                                     " bytes and ends outside the file of " + std::to_string(file_size))
        .at(object.offset);
}

void read_texts(const Value& line, Object& object) {
  if (!object.reason.empty()) return;
  for (const Value& text : array_in(line, "texts")) object.texts.push_back(text_of(text));
  const auto numel = checked_numel(object.shape);
  if (!numel || static_cast<std::uint64_t>(*numel) != object.texts.size())
    misunderstood("as many texts as the shape says");
}

void read_dataset(const Value& line, Object& object, std::uint64_t file_size, const Limits& limits) {
  object.address = needed(line, "address");
  if (flag_in(line, "null")) {
    object.content = Object::Content::nothing;
    return;
  }
  object.shape = shape_in(line);
  if (object.shape.size() > limits.rank_max)
    throw Error(Code::limit_exceeded,
                "the dataset has " + std::to_string(object.shape.size()) + " dimensions");
  read_type(line, object);
  if (object.content == Object::Content::texts)
    read_texts(line, object);
  else if (object.content != Object::Content::unreadable)
    read_place(line, object, file_size);
  if (!object.reason.empty()) object.content = Object::Content::unreadable;
}

// --- Place in the tree

void read_kind(const Value& line, Object& object) {
  const std::string kind = text_in(line, "kind");
  if (kind == "dataset")
    object.kind = Object::Kind::dataset;
  else if (kind == "alias")
    object.kind = Object::Kind::alias;
  else if (kind == "link")
    object.kind = Object::Kind::link;
  else if (kind != "group")
    misunderstood("an object of kind " + quote(kind));
}

std::uint32_t index_in(const Value& line, std::string_view name, const std::vector<Object>& objects) {
  const std::uint64_t index = needed(line, name);
  if (index >= objects.size()) misunderstood("an object that is not there yet");
  return static_cast<std::uint32_t>(index);
}

}  // namespace

void misunderstood(const std::string& what) {
  throw Error(Code::internal, "the program that reads HDF5 files said something unexpected: " + what);
}

Object read_object(const Value& line, const std::vector<Object>& before) {
  Object object;
  read_kind(line, object);
  object.reason = text_in(line, "reason");
  object.name = text_in(line, "name");
  if (before.empty()) return object;
  object.parent = index_in(line, "in", before);
  if (before[object.parent].kind != Object::Kind::group) misunderstood("an object inside what is no group");
  if (object.kind != Object::Kind::alias) return object;
  object.same = index_in(line, "same", before);
  if (before[object.same].kind == Object::Kind::alias) misunderstood("a name of a name");
  return object;
}

void read_details(const Value& line, Object& object, std::uint64_t file_size, const Limits& limits) {
  if (line.find("attributes") != nullptr)
    for (const Value& entry : array_in(line, "attributes"))
      object.attributes.push_back(read_attribute(entry));
  if (object.kind == Object::Kind::dataset) read_dataset(line, object, file_size, limits);
}

bool is_end(const Value& line) { return flag_in(line, "end"); }

}  // namespace ferry::hdf5
