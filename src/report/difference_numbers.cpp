#include "src/report/difference_numbers.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "src/core/text.h"

namespace ferry::report {
namespace {

template <typename T>
std::string shortest(T value) {
  std::array<char, 64> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  return std::string(digits.data(), end.ptr);
}

std::string printed(const char* format, double value) {
  std::array<char, 64> text;
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

// Values of types of up to 32 bits read back from the digits of a float, which are fewer.
std::string part_words(double value, DType dtype) {
  const bool wide = dtype == DType::float64 || dtype == DType::complex128;
  if (wide || !std::isfinite(value)) return real_digits(value);
  return shortest(static_cast<float>(value));
}

std::string integer_words(const Number& number, DType dtype) {
  constexpr double kExact = 9007199254740992;  // 2^53: from here on a double has not all digits
  if (std::fabs(number.real) < kExact) return shortest(static_cast<std::int64_t>(number.real));
  if (dtype == DType::uint64) return shortest(number.bits);
  return shortest(static_cast<std::int64_t>(number.bits));
}

}  // namespace

bool is_complex(DType dtype) {
  return dtype == DType::complex32 || dtype == DType::complex64 || dtype == DType::complex128;
}

bool is_integral(DType dtype) {
  switch (dtype) {
    case DType::uint8:
    case DType::int8:
    case DType::int16:
    case DType::int32:
    case DType::int64:
    case DType::boolean:
    case DType::uint16:
    case DType::uint32:
    case DType::uint64:
      return true;
    default:
      return false;
  }
}

std::vector<std::uint64_t> index_of(std::uint64_t element, std::span<const std::int64_t> shape) {
  std::vector<std::uint64_t> index(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    if (shape[axis] <= 0) return {};
    const auto size = static_cast<std::uint64_t>(shape[axis]);
    index[axis] = element % size;
    element /= size;
  }
  if (element > 0) return {};
  return index;
}

std::string real_digits(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  return shortest(value);
}

std::string three_digits(double value) {
  return std::isfinite(value) ? printed("%.3g", value) : real_digits(value);
}

std::string short_count(std::uint64_t count) {
  if (count < 1'000'000) return grouped(count);
  double value = static_cast<double>(count);
  constexpr std::array<const char*, 4> kUnits = {" M", " G", " T", " P"};
  std::size_t unit = 0;
  for (value /= 1e6; value >= 999.5 && unit + 1 < kUnits.size(); ++unit) value /= 1e3;
  return printed(value < 9.995 ? "%.2f" : value < 99.95 ? "%.1f" : "%.0f", value) + kUnits[unit];
}

std::string share(std::uint64_t part, std::uint64_t whole) {
  if (part == 0 || whole == 0) return "0%";
  if (part >= whole) return "100%";
  const double percent = 100 * static_cast<double>(part) / static_cast<double>(whole);
  if (percent < 0.001) return "<0.001%";
  if (percent >= 99.95) return ">99.9%";
  return printed("%.3g", percent) + "%";
}

std::string ulps_words(const Ulps& distance) {
  const double value = static_cast<double>(distance.whole) + distance.fraction;
  if (distance.fraction > 0 && distance.whole < 1000) return printed("%.3g", value);
  return distance.whole < 1'000'000 ? grouped(distance.whole) : printed("%.3g", value);
}

std::string ulps_digits(const Ulps& distance) {
  std::string text = std::to_string(distance.whole);
  if (distance.fraction <= 0) return text;
  // Fixed digits of the smallest double: 323 zeros and up to 17 digits.
  std::array<char, 400> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), distance.fraction,
                                 std::chars_format::fixed);
  const std::string fraction(digits.data(), end.ptr);
  return text + fraction.substr(fraction.find('.'));
}

std::string ulp_bin_end(std::size_t bin) {
  if (bin < 2) return bin == 0 ? "0" : "0.5";
  if (bin == kUlpBins - 1) return "18446744073709551616";  // 2^64, one more than 64 bits hold
  return std::to_string(std::uint64_t{1} << (bin - 2));
}

std::string cosine_words(double cosine) {
  const double gap = 1 - cosine;
  if (!(gap < 1e-3)) return three_digits(cosine);
  return gap > 0 ? "1-" + printed("%.2g", gap) : "1";
}

std::string number_words(const Number& number, DType dtype) {
  if (is_integral(dtype)) return integer_words(number, dtype);
  const std::string real = part_words(number.real, dtype);
  if (!is_complex(dtype)) return real;
  const std::string imaginary = part_words(number.imaginary, dtype);
  return "(" + real + (imaginary.starts_with('-') ? "" : "+") + imaginary + "j)";
}

}  // namespace ferry::report
