#include "formats/hdf5/helper/types.h"

#include <array>
#include <charconv>
#include <optional>

#include "formats/hdf5/protocol.h"
#include "src/core/dtype.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::hdf5::helper {
namespace {

// Where sign, exponent and mantissa lie, in bits, as H5Tget_fields says it.
struct FloatLayout {
  std::string_view name;
  std::size_t size, sign, exponent, exponent_bits, mantissa, mantissa_bits, bias;
  bool operator==(const FloatLayout&) const = default;
};

// The last three exist in files of HDF5 2.0 (H5T_FLOAT_BFLOAT16LE, H5T_FLOAT_F8E5M2, H5T_FLOAT_F8E4M3).
constexpr auto kFloats = std::to_array<FloatLayout>({
    {"float16", 2, 15, 10, 5, 0, 10, 15},
    {"float32", 4, 31, 23, 8, 0, 23, 127},
    {"float64", 8, 63, 52, 11, 0, 52, 1023},
    {"bfloat16", 2, 15, 7, 8, 0, 7, 127},
    {"float8_e5m2", 1, 7, 2, 5, 0, 2, 15},
    {"float8_e4m3fn", 1, 7, 3, 4, 0, 3, 7},
});

TypeDescription unsupported(std::string reason) {
  TypeDescription result;
  result.name = "unsupported";
  result.reason = std::move(reason);
  return result;
}

TypeDescription scalar(std::string name, hid_t type) {
  TypeDescription result;
  result.name = std::move(name);
  result.itemsize = H5Tget_size(type);
  result.big_endian = result.itemsize > 1 && H5Tget_order(type) == H5T_ORDER_BE;
  return result;
}

// Only numbers that fill their bytes and have one of the two usual orders can be read as bytes.
bool is_whole(hid_t type) {
  const H5T_order_t order = H5Tget_order(type);
  return H5Tget_offset(type) == 0 && H5Tget_precision(type) == 8 * H5Tget_size(type) &&
         (order == H5T_ORDER_LE || order == H5T_ORDER_BE);
}

TypeDescription describe_integer(hid_t type) {
  const std::size_t size = H5Tget_size(type);
  const bool usual = size == 1 || size == 2 || size == 4 || size == 8;
  if (!usual || !is_whole(type)) return unsupported("integers of an unusual size or layout");
  const H5T_sign_t sign = H5Tget_sign(type);
  if (sign == H5T_SGN_ERROR) return unsupported("integers of an unknown sign");
  return scalar((sign == H5T_SGN_NONE ? "uint" : "int") + std::to_string(8 * size), type);
}

TypeDescription describe_float(hid_t type) {
  FloatLayout layout{};
  layout.size = H5Tget_size(type);
  layout.bias = H5Tget_ebias(type);
  if (!is_whole(type) || H5Tget_norm(type) != H5T_NORM_IMPLIED ||
      H5Tget_fields(type, &layout.sign, &layout.exponent, &layout.exponent_bits, &layout.mantissa,
                    &layout.mantissa_bits) < 0)
    return unsupported("floating-point numbers of an unusual layout");
  for (const FloatLayout& row : kFloats) {
    layout.name = row.name;
    if (layout == row) return scalar(std::string(row.name), type);
  }
  return unsupported("floating-point numbers of an unusual layout");
}

std::string member_name(hid_t type, unsigned member) {
  char* name = H5Tget_member_name(type, member);
  if (name == nullptr) fail("read the name of a member of a type");
  std::string result(name);
  H5free_memory(name);
  return result;
}

bool is_boolean(hid_t type) {
  if (H5Tget_size(type) != 1 || H5Tget_nmembers(type) != 2) return false;
  for (unsigned i = 0; i < 2; ++i) {
    signed char value = -1;
    check(H5Tget_member_value(type, i, &value), "read a member of an enum");
    if (member_name(type, i) != (value == 0 ? "FALSE" : value == 1 ? "TRUE" : "")) return false;
  }
  return true;
}

// The names of an enum say nothing that a tensor could keep: its numbers do.
TypeDescription describe_enum(hid_t type) {
  const Handle base = own(H5Tget_super(type), "read the numbers behind an enum");
  if (H5Tget_class(base.get()) != H5T_INTEGER) return unsupported("an enum of something else than integers");
  TypeDescription numbers = describe_integer(base.get());
  if (numbers.name == "int8" && is_boolean(type)) numbers.name = "bool";
  return numbers;
}

// A compound {r, i} of two equal floats without gaps.
std::optional<TypeDescription> as_complex(const TypeDescription& table) {
  if (table.columns.size() != 2) return std::nullopt;
  const ColumnType &re = table.columns[0], &im = table.columns[1];
  const bool fits = re.name == "r" && im.name == "i" && re.type == im.type && re.offset == 0 &&
                    im.offset == re.size && table.itemsize == 2 * re.size && re.big_endian == im.big_endian;
  if (!fits || (re.type != "float16" && re.type != "float32" && re.type != "float64")) return std::nullopt;
  TypeDescription result;
  result.name = "complex" + std::to_string(16 * re.size);
  result.itemsize = table.itemsize;
  result.big_endian = re.big_endian;
  return result;
}

TypeDescription describe_string(hid_t type) {
  TypeDescription result;
  result.name = "string";
  result.itemsize = H5Tget_size(type);
  result.variable = H5Tis_variable_str(type) > 0;
  return result;
}

// Types without members.  Compounds inside compounds are left: only {r, i} is looked into.
TypeDescription describe_simple(hid_t type) {
  switch (H5Tget_class(type)) {
    case H5T_INTEGER:
      return describe_integer(type);
    case H5T_FLOAT:
      return describe_float(type);
    case H5T_ENUM:
      return describe_enum(type);
    case H5T_STRING:
      return describe_string(type);
    case H5T_REFERENCE:
      return unsupported("references to other objects");
    case H5T_VLEN:
      return unsupported("sequences of varying length");
    case H5T_ARRAY:
      return unsupported("arrays as elements");
    case H5T_OPAQUE:
      return unsupported("opaque bytes");
    case H5T_BITFIELD:
      return unsupported("bit fields");
    default:
      return unsupported("elements of an unknown class");
  }
}

TypeDescription describe_members(hid_t type, bool nested) {
  const int count = H5Tget_nmembers(type);
  if (count < 0) fail("read the members of a type");
  if (static_cast<std::size_t>(count) > protocol::kColumnsMax)
    return unsupported("a table of too many columns");
  TypeDescription table;
  table.name = "table";
  table.itemsize = H5Tget_size(type);
  for (unsigned i = 0; i < static_cast<unsigned>(count); ++i) {
    const Handle member = own(H5Tget_member_type(type, i), "read the type of a member");
    const bool compound = H5Tget_class(member.get()) == H5T_COMPOUND;
    TypeDescription inner = !compound ? describe_simple(member.get())
                            : nested  ? unsupported("a table within a table")
                                      : describe_members(member.get(), true);
    if (inner.variable || inner.name == "table") inner.name = "unsupported";
    table.columns.push_back({member_name(type, i), inner.name, H5Tget_member_offset(type, i),
                             H5Tget_size(member.get()), inner.big_endian});
    if (!is_utf8(table.columns.back().name, false)) return unsupported("a column whose name is no UTF-8");
  }
  return as_complex(table).value_or(table);
}

// --- Making types

struct StandardType {
  std::string_view name;
  hid_t (*type)();
};

constexpr auto kStandard = std::to_array<StandardType>({
    {"uint8", [] { return H5T_STD_U8LE; }},
    {"int8", [] { return H5T_STD_I8LE; }},
    {"uint16", [] { return H5T_STD_U16LE; }},
    {"int16", [] { return H5T_STD_I16LE; }},
    {"uint32", [] { return H5T_STD_U32LE; }},
    {"int32", [] { return H5T_STD_I32LE; }},
    {"uint64", [] { return H5T_STD_U64LE; }},
    {"int64", [] { return H5T_STD_I64LE; }},
    {"float32", [] { return H5T_IEEE_F32LE; }},
    {"float64", [] { return H5T_IEEE_F64LE; }},
});

Handle make_half() {
  const FloatLayout& half = kFloats[0];
  Handle type = own(H5Tcopy(H5T_IEEE_F32LE), "make a type");
  check(H5Tset_fields(type.get(), half.sign, half.exponent, half.exponent_bits, half.mantissa,
                      half.mantissa_bits),
        "make a type");
  check(H5Tset_size(type.get(), half.size), "make a type");
  check(H5Tset_ebias(type.get(), half.bias), "make a type");
  return type;
}

Handle make_boolean() {
  Handle type = own(H5Tenum_create(H5T_STD_I8LE), "make a type");
  constexpr std::array<signed char, 2> kValues = {0, 1};
  for (const signed char value : kValues)
    check(H5Tenum_insert(type.get(), value == 0 ? "FALSE" : "TRUE", &value), "make a type");
  return type;
}

Handle make_complex(std::string_view part) {
  const Handle number = make_type(part);
  const std::size_t size = H5Tget_size(number.get());
  Handle type = own(H5Tcreate(H5T_COMPOUND, 2 * size), "make a type");
  check(H5Tinsert(type.get(), "r", 0, number.get()), "make a type");
  check(H5Tinsert(type.get(), "i", size, number.get()), "make a type");
  return type;
}

Handle make_string(std::string_view length) {
  std::size_t size = 0;
  const auto [end, problem] = std::from_chars(length.data(), length.data() + length.size(), size);
  if (problem != std::errc{} || end != length.data() + length.size() || size == 0 || size > 1 << 20)
    throw Error(Code::bad_usage, "a string of length " + quote(length));
  Handle type = own(H5Tcopy(H5T_C_S1), "make a type");
  check(H5Tset_size(type.get(), size), "make a type");
  check(H5Tset_strpad(type.get(), H5T_STR_NULLPAD), "make a type");
  check(H5Tset_cset(type.get(), H5T_CSET_UTF8), "make a type");
  return type;
}

}  // namespace

TypeDescription describe_type(hid_t type) {
  if (H5Tget_class(type) == H5T_COMPOUND) return describe_members(type, false);
  return describe_simple(type);
}

bool needs_mark(std::string_view name) {
  return name == "bfloat16" || name.starts_with("float8_") || name.starts_with("float4_");
}

Handle make_type(std::string_view name) {
  constexpr std::string_view kString = "string:";
  if (name.starts_with(kString)) return make_string(name.substr(kString.size()));
  if (name == "float16") return make_half();
  if (name == "bool") return make_boolean();
  if (name == "complex32") return make_complex("float16");
  if (name == "complex64") return make_complex("float32");
  if (name == "complex128") return make_complex("float64");
  if (needs_mark(name)) name = name == "bfloat16" ? "uint16" : "uint8";
  for (const StandardType& row : kStandard)
    if (row.name == name) return own(H5Tcopy(row.type()), "make a type");
  throw Error(Code::bad_usage, "no HDF5 type for " + quote(name));
}

}  // namespace ferry::hdf5::helper
