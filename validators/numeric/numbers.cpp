#include "validators/numeric/numbers.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cfloat>
#include <cmath>
#include <limits>

namespace ferry::numeric {
namespace {

static_assert(LDBL_MANT_DIG >= 64, "integers of 64 bits have to fit");

constexpr NumberFormat natural(std::uint8_t bytes) { return {Kind::natural, bytes, 1, 0, 0, {}, nullptr}; }
constexpr NumberFormat integer(std::uint8_t bytes) { return {Kind::integer, bytes, 1, 0, 0, {}, nullptr}; }

constexpr NumberFormat kHalf{Kind::floating, 2, 1, 11, -14, Specials::ieee, nullptr};
constexpr NumberFormat kBrain{Kind::floating, 2, 1, 8, -126, Specials::ieee, nullptr};
constexpr NumberFormat kSingle{Kind::floating, 4, 1, 24, -126, Specials::ieee, nullptr};
constexpr NumberFormat kDouble{Kind::floating, 8, 1, 53, -1022, Specials::ieee, nullptr};

constexpr NumberFormat complex_of(NumberFormat component) {
  component.components = 2;
  return component;
}

constexpr NumberFormat row_of(DType dtype) {
  switch (dtype) {
    case DType::boolean:
      return {Kind::boolean, 1, 1, 0, 0, {}, nullptr};
    case DType::uint8:
    case DType::quint8:
      return natural(1);
    case DType::uint16:
      return natural(2);
    case DType::uint32:
      return natural(4);
    case DType::uint64:
      return natural(8);
    case DType::int8:
    case DType::qint8:
      return integer(1);
    case DType::int16:
      return integer(2);
    case DType::int32:
    case DType::qint32:
      return integer(4);
    case DType::int64:
      return integer(8);
    case DType::float16:
      return kHalf;
    case DType::bfloat16:
      return kBrain;
    case DType::float32:
      return kSingle;
    case DType::float64:
      return kDouble;
    case DType::complex32:
      return complex_of(kHalf);
    case DType::complex64:
      return complex_of(kSingle);
    case DType::complex128:
      return complex_of(kDouble);
    case DType::float8_e5m2:
      return {Kind::floating, 1, 1, 3, -14, Specials::ieee, nullptr};
    case DType::float8_e4m3fn:
      return {Kind::floating, 1, 1, 4, -6, Specials::fn, nullptr};
    case DType::float8_e5m2fnuz:
      return {Kind::floating, 1, 1, 3, -15, Specials::fnuz, nullptr};
    case DType::float8_e4m3fnuz:
      return {Kind::floating, 1, 1, 4, -7, Specials::fnuz, nullptr};
    case DType::float8_e8m0fnu:
      return {Kind::power, 1, 1, 1, -127, Specials::all_ones, nullptr};
    case DType::bits16:
      return {Kind::bits, 2, 1, 0, 0, {}, nullptr};
    case DType::quint4x2:
    case DType::quint2x4:
    case DType::bits1x8:
    case DType::bits2x4:
    case DType::bits4x2:
    case DType::bits8:
    case DType::float4_e2m1fn_x2:
      break;
  }
  return {Kind::bits, 1, 1, 0, 0, {}, nullptr};
}

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The number of a pattern whose exponent bits are all set, or that is the sign alone; 0 when it is an
// ordinary one.
double special(const NumberFormat& format, std::uint64_t magnitude, bool negative) {
  const int width = format.component_bytes * 8 - 1;
  const std::uint64_t all = (std::uint64_t{1} << width) - 1;
  const std::uint64_t infinity = all >> (format.significand_bits - 1) << (format.significand_bits - 1);
  switch (format.specials) {
    case Specials::ieee:
      if (magnitude < infinity) return 0;
      return magnitude > infinity ? kNaN : negative ? -kInfinity : kInfinity;
    case Specials::fn:
      return magnitude == all ? kNaN : 0;
    case Specials::fnuz:
      return negative && magnitude == 0 ? kNaN : 0;
    case Specials::all_ones:
      break;
  }
  return 0;
}

double decode_floating(const NumberFormat& format, std::uint64_t bits) {
  const int width = format.component_bytes * 8 - 1, fraction_bits = format.significand_bits - 1;
  const bool negative = (bits >> width) != 0;
  const std::uint64_t magnitude = bits & ((std::uint64_t{1} << width) - 1);
  if (const double value = special(format, magnitude, negative); value != 0) return value;
  const auto exponent = static_cast<int>(magnitude >> fraction_bits);
  std::uint64_t significand = magnitude & ((std::uint64_t{1} << fraction_bits) - 1);
  if (exponent > 0) significand |= std::uint64_t{1} << fraction_bits;
  const double value = std::ldexp(static_cast<double>(significand),
                                  std::max(exponent, 1) - 1 + format.exponent_min - fraction_bits);
  return negative ? -value : value;
}

// All rows, with the tables of types of one byte.
struct Formats {
  static constexpr std::size_t kCount = static_cast<std::size_t>(DType::float4_e2m1fn_x2) + 1;
  std::array<NumberFormat, kCount> rows;
  std::array<ByteNumbers, kCount> byte_numbers;

  Formats() {
    for (std::size_t i = 0; i < kCount; ++i) {
      rows[i] = row_of(static_cast<DType>(i));
      if (!rows[i].is_floating() || rows[i].component_bytes != 1) continue;
      for (std::size_t bits = 0; bits < byte_numbers[i].size(); ++bits)
        byte_numbers[i][bits] = static_cast<double>(decode_component(rows[i], bits));
      rows[i].byte_numbers = &byte_numbers[i];
    }
  }
};

}  // namespace

const NumberFormat& format_of(DType dtype) {
  static const Formats formats;
  return formats.rows[static_cast<std::size_t>(dtype)];
}

std::uint64_t load_bits(const std::byte* at, std::size_t bytes) {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < bytes; ++i) bits |= static_cast<std::uint64_t>(at[i]) << (8 * i);
  return bits;
}

long double decode_component(const NumberFormat& format, std::uint64_t bits) {
  switch (format.kind) {
    case Kind::bits:
    case Kind::natural:
      return static_cast<long double>(bits);
    case Kind::boolean:
      return bits != 0 ? 1 : 0;
    case Kind::integer: {
      const int unused = 64 - format.component_bytes * 8;
      return static_cast<long double>(static_cast<std::int64_t>(bits << unused) >> unused);
    }
    case Kind::floating:
      return decode_floating(format, bits);
    case Kind::power:
      return bits == 0xff ? kNaN : std::ldexp(1.0, static_cast<int>(bits) + format.exponent_min);
  }
  return 0;
}

}  // namespace ferry::numeric
