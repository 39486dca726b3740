// What the bits of each type mean: one row a type, from which numbers, distances and limits follow.
//
// Sources: IEEE 754; c10/util/BFloat16.h and Float8_*.h; the OCP 8-bit and microscaling formats.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "src/core/dtype.h"

namespace ferry::numeric {

enum class Kind : std::uint8_t {
  bits,      // no numbers: elements are parts of bytes
  boolean,   // 0 is false, everything else true
  natural,   // unsigned integers
  integer,   // two's complement
  floating,  // sign, exponent, fraction
  power,     // an exponent alone: a power of two, without zero and sign (float8_e8m0fnu)
};

// Which patterns of a floating type are no finite numbers.
enum class Specials : std::uint8_t {
  ieee,      // all bits of the exponent: infinity, with a fraction NaN
  fn,        // all bits but the sign: NaN; no infinity
  fnuz,      // the sign alone: NaN; no infinity and no −0
  all_ones,  // all bits: NaN
};

using ByteNumbers = std::array<double, 256>;

// A complex number is two components of one format, the real part first.
struct NumberFormat {
  Kind kind = Kind::bits;
  std::uint8_t component_bytes = 1;
  std::uint8_t components = 1;
  std::uint8_t significand_bits = 0;  // of floating types and powers, the leading 1 included
  std::int16_t exponent_min = 0;      // of the smallest normal number 1.0 × 2^exponent_min
  Specials specials = Specials::ieee;
  const ByteNumbers* byte_numbers =
      nullptr;  // what each pattern means, of floating types and powers of one byte

  bool is_floating() const { return kind == Kind::floating || kind == Kind::power; }
  bool is_wide_integer() const { return !is_floating() && component_bytes == 8; }
  std::size_t element_bytes() const { return std::size_t{component_bytes} * components; }
};

const NumberFormat& format_of(DType dtype);

// The bits of a little-endian unsigned integer of 1 to 8 bytes.
std::uint64_t load_bits(const std::byte* at, std::size_t bytes);

// One component: exact, for long double has 64 bits of significand or more.
long double decode_component(const NumberFormat& format, std::uint64_t bits);

}  // namespace ferry::numeric
