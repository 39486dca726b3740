#include <charconv>
#include <cstring>

#include "formats/hdf5/helper/describe.h"
#include "formats/hdf5/helper/texts.h"
#include "formats/hdf5/helper/types.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::hdf5::helper {
namespace {

using protocol::LineWriter;

void tell_reason(const std::string& reason, LineWriter& line) {
  line.key("kind").text("other").key("reason").text(reason);
}

// Attributes are small, so here the library may convert: every integer fits in 64 bits, every float of up to
// 64 bits in a double.
template <typename T>
std::vector<T> read_numbers(hid_t attribute, hid_t memory_type, std::uint64_t count) {
  std::vector<T> values(static_cast<std::size_t>(count));
  if (count > 0) check(H5Aread(attribute, memory_type, values.data()), "read an attribute");
  return values;
}

// JSON knows neither infinity nor NaN, so reals are told as text that std::from_chars reads back exactly.
std::string text_of(double value) {
  char buffer[32];
  const auto [end, problem] = std::to_chars(buffer, buffer + sizeof buffer, value);
  return problem == std::errc{} ? std::string(buffer, end) : "nan";
}

void tell_integers(hid_t attribute, const TypeDescription& type, std::uint64_t count, LineWriter& line) {
  line.key("kind").text("integer").key("values").begin('[');
  if (type.name == "uint64")
    for (const auto value : read_numbers<std::uint64_t>(attribute, H5T_NATIVE_UINT64, count))
      line.natural(value);
  else
    for (const auto value : read_numbers<std::int64_t>(attribute, H5T_NATIVE_INT64, count))
      line.integer(value);
  line.end(']');
}

void tell_booleans(hid_t attribute, hid_t type, std::uint64_t count, LineWriter& line) {
  line.key("kind").text("boolean").key("values").begin('[');
  for (const auto value : read_numbers<signed char>(attribute, type, count)) line.boolean(value != 0);
  line.end(']');
}

void tell_reals(hid_t attribute, std::uint64_t count, LineWriter& line) {
  line.key("kind").text("real").key("values").begin('[');
  for (const double value : read_numbers<double>(attribute, H5T_NATIVE_DOUBLE, count))
    line.text(text_of(value));
  line.end(']');
}

void tell_texts(hid_t attribute, hid_t type, hid_t space, std::uint64_t count, LineWriter& line) {
  const Texts texts = read_attribute_texts(attribute, type, space, count);
  if (!texts.reason.empty()) return tell_reason(texts.reason, line);
  line.key("kind").text("text").key("values").begin('[');
  for (const std::string& text : texts.values) line.text(text);
  line.end(']');
}

void tell_value(hid_t attribute, LineWriter& line) {
  const Handle type = own(H5Aget_type(attribute), "read the type of an attribute");
  const Handle space = own(H5Aget_space(attribute), "read the shape of an attribute");
  const Shape shape = shape_of(space.get());
  if (shape.null) return tell_reason("empty", line);
  if (shape.count > protocol::kAttributeItemsMax) return tell_reason("more values than the limit", line);
  line.key("shape").begin('[');
  for (const hsize_t dim : shape.dims) line.natural(dim);
  line.end(']');

  const TypeDescription described = describe_type(type.get());
  if (described.name == "string") return tell_texts(attribute, type.get(), space.get(), shape.count, line);
  if (described.name == "bool") return tell_booleans(attribute, type.get(), shape.count, line);
  if (H5Tget_class(type.get()) == H5T_INTEGER && described.reason.empty())
    return tell_integers(attribute, described, shape.count, line);
  if (H5Tget_class(type.get()) == H5T_FLOAT && described.reason.empty())
    return tell_reals(attribute, shape.count, line);
  tell_reason(described.reason.empty() ? described.name : described.reason, line);
}

// A callback of C: what it would throw is told by its status instead.
herr_t collect_name(hid_t, const char* name, const H5A_info_t*, void* out) {
  try {
    auto& names = *static_cast<std::vector<std::string>*>(out);
    if (names.size() == protocol::kAttributesMax) return -1;
    names.emplace_back(name);
    return 0;
  } catch (const std::exception&) {
    return -1;
  }
}

}  // namespace

void describe_attributes(hid_t object, LineWriter& line) {
  std::vector<std::string> names;
  hsize_t begin = 0;
  check(H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_NATIVE, &begin, collect_name, &names),
        "list the attributes");
  if (names.empty()) return;
  line.key("attributes").begin('[');
  for (const std::string& name : names) {
    if (!is_utf8(name, false)) throw Error(Code::bad_hdf5, "the name of an attribute is no UTF-8");
    const Handle attribute = own(H5Aopen(object, name.c_str(), H5P_DEFAULT), "open an attribute");
    line.begin('{').key("name").text(name);
    tell_value(attribute.get(), line);
    line.end('}');
  }
  line.end(']');
}

}  // namespace ferry::hdf5::helper
