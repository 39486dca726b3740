#include "validators/numeric/rounding.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "src/core/text.h"

namespace ferry::numeric {
namespace {

constexpr double kQuietNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int kDoubleFraction = 52, kDoubleBias = 1023;

int exponent_of(double value) {
  return static_cast<int>(std::bit_cast<std::uint64_t>(value) >> kDoubleFraction & 0x7ff) - kDoubleBias;
}

double round_subnormal(const Rounding& rounding, double magnitude) {
  const double grid = std::ldexp(1.0, rounding.exponent_min - rounding.significand_bits + 1);
  if (rounding.truncates) return std::trunc(magnitude / grid) * grid;
  const double shift =
      1.5 * std::ldexp(grid, kDoubleFraction);  // its neighbours are as far apart as the grid
  return (magnitude + shift) - shift;
}

double round_normal(const Rounding& rounding, double magnitude) {
  const int dropped = kDoubleFraction + 1 - rounding.significand_bits;
  auto bits = std::bit_cast<std::uint64_t>(magnitude);
  const std::uint64_t below = (std::uint64_t{1} << dropped) - 1;
  if (!rounding.truncates) bits += (below >> 1) + (bits >> dropped & 1);  // a carry moves into the exponent
  return std::bit_cast<double>(bits & ~below);
}

template <typename Word, typename Convert>
void convert(Bytes bytes, std::vector<double>& out, Convert to_double) {
  out.resize(bytes.size() / sizeof(Word));
  for (std::size_t i = 0; i < out.size(); ++i) {
    Word word;
    std::memcpy(&word, bytes.data() + i * sizeof(Word), sizeof word);
    out[i] = to_double(word);
  }
}

// The value of every pattern of one byte.
std::array<double, 256> byte_values(const NumberFormat& format) {
  std::array<double, 256> values;
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<double>(decode_component(format, i));
  return values;
}

// The bits as a double with the same fraction, and then a power of two for the different bias.
double half_to_double(std::uint16_t bits) {
  const std::uint64_t magnitude = bits & 0x7fff;
  const double scaled = std::bit_cast<double>(magnitude << (kDoubleFraction - 10)) * 0x1p1008;
  const double value = magnitude < 0x7c00 ? scaled : magnitude == 0x7c00 ? HUGE_VAL : kQuietNaN;
  return bits >> 15 != 0 ? -value : value;
}

std::string component_text(DType dtype, std::uint64_t bits) {
  const NumberFormat& format = format_of(dtype);
  const auto value = static_cast<double>(decode_component(format, bits));
  switch (format.kind) {
    case Kind::bits:
    case Kind::natural:
      return std::to_string(bits);
    case Kind::boolean:
      return bits != 0 ? "True" : "False";
    case Kind::integer: {
      const int unused = 64 - format.component_bytes * 8;
      return std::to_string(static_cast<std::int64_t>(bits << unused) >> unused);
    }
    default:
      break;
  }
  if (!std::isfinite(value) || format.significand_bits > 24 || format.kind == Kind::power)
    return real_text(value);
  const double half = ulp_at(format, value) * 0.499;  // below one half, for a tie may go either way
  return real_text(shortest_between(value - half, value + half, value).value);
}

}  // namespace

Rounding rounding_to(DType dtype) {
  const NumberFormat& format = format_of(dtype);
  const int fraction_bits = format.significand_bits - 1;
  const int exponents = 1 << (format.component_bytes * 8 - 1 - fraction_bits);
  const bool ieee = format.specials == Specials::ieee;
  const int exponent_max = format.exponent_min + exponents - (ieee ? 3 : 2);
  const double step = std::ldexp(1.0, -fraction_bits);
  const double largest = 2 - step * (format.specials == Specials::fn ? 2 : 1);
  return {format.significand_bits,
          format.exponent_min,
          std::ldexp(largest, exponent_max),
          format.specials,
          false,
          false};
}

Rounding tf32_rounding(bool truncates) {
  return {11, -126, std::ldexp(2 - 0x1p-10, 127), Specials::ieee, truncates, false};
}

double round_to(const Rounding& rounding, double value) {
  if (std::isnan(value)) return value;
  const double magnitude = std::abs(value);
  double rounded = magnitude;
  if (std::isfinite(value))
    rounded = exponent_of(magnitude) >= rounding.exponent_min ? round_normal(rounding, magnitude)
                                                              : round_subnormal(rounding, magnitude);
  if (rounded > rounding.largest)
    rounded = rounding.saturates                    ? rounding.largest
              : rounding.specials == Specials::ieee ? HUGE_VAL
                                                    : kQuietNaN;
  if (rounded == 0 && rounding.specials == Specials::fnuz) return 0;
  return std::copysign(rounded, value);
}

double ulp_at(const NumberFormat& format, double value) {
  const int exponent = std::max<int>(exponent_of(value), format.exponent_min) - format.significand_bits + 1;
  if (exponent < 1 - kDoubleBias) return std::ldexp(1.0, exponent);
  return std::bit_cast<double>(static_cast<std::uint64_t>(exponent + kDoubleBias) << kDoubleFraction);
}

void decode_components(DType dtype, Bytes bytes, std::vector<double>& out) {
  const NumberFormat& format = format_of(dtype);
  const auto plain = [](auto word) { return static_cast<double>(word); };
  const bool has_sign = format.kind == Kind::integer;
  switch (format.component_bytes) {
    case 1: {
      const auto values = byte_values(format);
      return convert<std::uint8_t>(bytes, out, [&](std::uint8_t byte) { return values[byte]; });
    }
    case 2:
      if (format.kind == Kind::floating && format.exponent_min == -14)
        return convert<std::uint16_t>(bytes, out, half_to_double);
      if (format.kind == Kind::floating)
        return convert<std::uint16_t>(bytes, out, [](std::uint16_t word) {
          return static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(word) << 16));
        });
      return has_sign ? convert<std::int16_t>(bytes, out, plain) : convert<std::uint16_t>(bytes, out, plain);
    case 4:
      if (format.kind == Kind::floating) return convert<float>(bytes, out, plain);
      return has_sign ? convert<std::int32_t>(bytes, out, plain) : convert<std::uint32_t>(bytes, out, plain);
    default:
      if (format.kind == Kind::floating) return convert<double>(bytes, out, plain);
      return has_sign ? convert<std::int64_t>(bytes, out, plain) : convert<std::uint64_t>(bytes, out, plain);
  }
}

std::string element_text(DType dtype, Bytes element) {
  const NumberFormat& format = format_of(dtype);
  const std::size_t size = format.component_bytes;
  const std::string real = component_text(dtype, load_bits(element.data(), size));
  if (format.components == 1) return real;
  const std::string imaginary = component_text(dtype, load_bits(element.data() + size, size));
  return "(" + real + (imaginary.starts_with('-') ? "" : "+") + imaginary + "j)";
}

Decimal shortest_between(double low, double high, double near, const Rounding* type) {
  const auto inside = [&](double value) { return low <= value && value <= high; };
  std::array<char, 64> text;
  for (int digits = 1; digits <= 17; ++digits) {
    const auto end =
        std::to_chars(text.data(), text.data() + text.size(), near, std::chars_format::general, digits).ptr;
    double value = 0;
    std::from_chars(text.data(), end, value);
    if (digits < 17 && !inside(value) && !(type != nullptr && inside(round_to(*type, value)))) continue;
    return {value, digits, std::string(text.data(), end)};
  }
  return {near, 17, real_text(near)};
}

}  // namespace ferry::numeric
