// Numbers and names of the serialised schema (torch/_export/serde/schema.py, version 8), and how members of
// its JSON are asked for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "formats/json/json.h"
#include "formats/pt2/graph.h"
#include "src/core/dtype.h"

namespace ferry::pt2 {

inline constexpr std::int64_t kSchemaMajor = 8;

// ScalarType of the schema: torch's own number plus one.  Throws Code::bad_pt2, and
// Code::unsupported_container for one that torchferry does not know.
DType dtype_of(std::int64_t scalar_type);
Layout layout_of(std::int64_t number);
MemoryFormat memory_format_of(std::int64_t number);

[[noreturn]] void broken(const std::string& what);  // throws Code::bad_pt2

// Each throws Code::bad_pt2 when the member is not there or is something else; `what` names the owner.
const json::Value& member(const json::Value& object, std::string_view name);
const std::string& text_of(const json::Value& value, std::string_view what);
std::int64_t integer_of(const json::Value& value, std::string_view what);
bool boolean_of(const json::Value& value, std::string_view what);
double real_of(const json::Value& value, std::string_view what);  // also "Infinity", "-Infinity", "NaN"
const json::Value::Array& array_of(const json::Value& value, std::string_view what);
const json::Value::Object& object_of(const json::Value& value, std::string_view what);
Device device_of(const json::Value& value);

// The one member of a tagged union, {"as_int": 3}.
const json::Value::Member& tagged(const json::Value& value, std::string_view what);

}  // namespace ferry::pt2
