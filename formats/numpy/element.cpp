#include "formats/numpy/element.h"

#include <array>
#include <charconv>

#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::numpy {
namespace {

struct Row {
  char kind;
  std::int64_t itemsize;
  DType dtype;
};

constexpr auto kRows = std::to_array<Row>({
    {'b', 1, DType::boolean},
    {'i', 1, DType::int8},
    {'i', 2, DType::int16},
    {'i', 4, DType::int32},
    {'i', 8, DType::int64},
    {'u', 1, DType::uint8},
    {'u', 2, DType::uint16},
    {'u', 4, DType::uint32},
    {'u', 8, DType::uint64},
    {'f', 2, DType::float16},
    {'f', 4, DType::float32},
    {'f', 8, DType::float64},
    {'c', 8, DType::complex64},
    {'c', 16, DType::complex128},
    // Counts since 1970, or of time; torch has the integers only.
    {'M', 8, DType::int64},
    {'m', 8, DType::int64},
});

// ml_dtypes registers its types with numpy under these texts.  Its one-byte types but this one all share
// '<V1'.
constexpr std::string_view kBfloat16 = "<V2", kFloat8E5m2 = "<f1";

[[noreturn]] void fail(std::string_view descr) {
  throw Error(Code::bad_npy, "numpy has no element type " + quote(descr, 40));
}
[[noreturn]] void fail_unsupported(std::string_view descr) {
  throw Error(Code::unsupported_value, "arrays of type " + quote(descr, 40) + " are not supported")
      .with_hint("save the array as a type that torch has, such as float32");
}

// The part of a date's type in brackets says its unit: "[ns]", "[25s]".
std::string_view without_unit(std::string_view descr, std::string_view code, char kind) {
  const std::size_t bracket = code.find('[');
  if (bracket == std::string_view::npos) return code;
  if ((kind != 'M' && kind != 'm') || !code.ends_with(']')) fail(descr);
  return code.substr(0, bracket);
}

std::int64_t parse_size(std::string_view descr, std::string_view digits) {
  std::int32_t size = 0;  // numpy's own limit of an item
  const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), size);
  if (digits.empty() || end.ec != std::errc() || end.ptr != digits.data() + digits.size() || size < 0)
    fail(descr);
  return size;
}

}  // namespace

ElementType parse_element_type(std::string_view descr) {
  if (descr == kBfloat16) return {'V', 2, false, DType::bfloat16};
  if (descr == kFloat8E5m2) return {'f', 1, false, DType::float8_e5m2};
  std::string_view code = descr;
  ElementType type;
  // '|' and '=' and nothing mean the order of the machine that reads; ours is little-endian.
  if (!code.empty() && std::string_view("<>|=").find(code[0]) != std::string_view::npos) {
    type.big_endian = code[0] == '>';
    code.remove_prefix(1);
  }
  if (code == "O") return {'O', 0, false, std::nullopt};
  if (code == "?") return {'b', 1, false, DType::boolean};
  if (code.empty()) fail(descr);
  type.kind = code[0];
  code = without_unit(descr, code.substr(1), type.kind);
  type.itemsize = parse_size(descr, code);
  for (const Row& row : kRows)
    if (row.kind == type.kind && row.itemsize == type.itemsize) type.dtype = row.dtype;
  if (type.dtype) return type;
  switch (type.kind) {
    case 'U':
      type.itemsize *= 4;
      [[fallthrough]];
    case 'S':
    case 'a':
      if (type.itemsize == 0) fail_unsupported(descr);
      return type;
    case 'V':
      fail_unsupported(descr);
    case 'f':
    case 'c':
      // Long doubles of the machines that numpy knows, with their padding.
      if (type.itemsize == 12 || type.itemsize == 16 || type.itemsize == 24 || type.itemsize == 32)
        fail_unsupported(descr);
      fail(descr);
    default:
      fail(descr);
  }
}

}  // namespace ferry::numpy
