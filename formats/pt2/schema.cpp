#include "formats/pt2/schema.h"

#include <array>
#include <limits>

#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::pt2 {
namespace {

struct ScalarTypeRow {
  std::int64_t number;
  DType dtype;
};

constexpr auto kScalarTypes = std::to_array<ScalarTypeRow>({
    {1, DType::uint8},
    {2, DType::int8},
    {3, DType::int16},
    {4, DType::int32},
    {5, DType::int64},
    {6, DType::float16},
    {7, DType::float32},
    {8, DType::float64},
    {9, DType::complex32},
    {10, DType::complex64},
    {11, DType::complex128},
    {12, DType::boolean},
    {13, DType::bfloat16},
    {28, DType::uint16},
    {29, DType::float8_e4m3fn},
    {30, DType::float8_e5m2},
    {31, DType::float8_e4m3fnuz},
    {32, DType::float8_e5m2fnuz},
    {33, DType::float8_e8m0fnu},
    {34, DType::uint32},
    {35, DType::uint64},
});

[[noreturn]] void not_a(std::string_view kind, std::string_view what) {
  broken(std::string(what) + " is not " + std::string(kind));
}

}  // namespace

void broken(const std::string& what) { throw Error(Code::bad_pt2, what); }

DType dtype_of(std::int64_t number) {
  for (const ScalarTypeRow& row : kScalarTypes)
    if (row.number == number) return row.dtype;
  broken("scalar type " + std::to_string(number) + " is unknown");
}

Layout layout_of(std::int64_t number) {
  if (number < 1 || number > static_cast<std::int64_t>(Layout::strided))
    broken("layout " + std::to_string(number) + " is unknown");
  return static_cast<Layout>(number);
}

MemoryFormat memory_format_of(std::int64_t number) {
  if (number < 1 || number > static_cast<std::int64_t>(MemoryFormat::preserve))
    broken("memory format " + std::to_string(number) + " is unknown");
  return static_cast<MemoryFormat>(number);
}

const json::Value& member(const json::Value& object, std::string_view name) {
  const json::Value* found = object.find(name);
  if (found == nullptr) broken("the member " + quote(name, 60) + " is missing");
  return *found;
}

const std::string& text_of(const json::Value& value, std::string_view what) {
  if (value.text() == nullptr) not_a("text", what);
  return *value.text();
}

std::int64_t integer_of(const json::Value& value, std::string_view what) {
  const auto number = value.integer();
  if (!number) not_a("an integer", what);
  return *number;
}

bool boolean_of(const json::Value& value, std::string_view what) {
  const auto truth = value.boolean();
  if (!truth) not_a("true or false", what);
  return *truth;
}

double real_of(const json::Value& value, std::string_view what) {
  if (const auto number = value.number()) return *number;
  const std::string& text = text_of(value, what);
  if (text == "Infinity") return std::numeric_limits<double>::infinity();
  if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  not_a("a number", what);
}

const json::Value::Array& array_of(const json::Value& value, std::string_view what) {
  if (value.array() == nullptr) not_a("a list", what);
  return *value.array();
}

const json::Value::Object& object_of(const json::Value& value, std::string_view what) {
  if (value.object() == nullptr) not_a("an object", what);
  return *value.object();
}

Device device_of(const json::Value& value) {
  Device device{text_of(member(value, "type"), "the type of a device"), std::nullopt};
  if (const json::Value* index = value.find("index"); index != nullptr && !index->is_null())
    device.index = integer_of(*index, "the index of a device");
  return device;
}

const json::Value::Member& tagged(const json::Value& value, std::string_view what) {
  const json::Value::Object& object = object_of(value, what);
  if (object.size() != 1)
    broken(std::string(what) + " must have one kind, not " + std::to_string(object.size()));
  return object.front();
}

}  // namespace ferry::pt2
