#include "validators/structure/statistics.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

namespace ferry::structure {
namespace {

// A binary floating-point number of up to 32 bits: sign, exponent, fraction.
double small_float(std::uint32_t bits, int exponent_bits, int fraction_bits, int bias) {
  const std::uint32_t fraction = bits & ((1u << fraction_bits) - 1);
  const int exponent = static_cast<int>((bits >> fraction_bits) & ((1u << exponent_bits) - 1));
  const bool negative = ((bits >> (fraction_bits + exponent_bits)) & 1u) != 0;
  const double scaled = exponent == 0 ? fraction : fraction + static_cast<double>(1u << fraction_bits);
  const double value = std::ldexp(scaled, std::max(exponent, 1) - bias - fraction_bits);
  return negative ? -value : value;
}

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

double half(std::uint16_t bits) {
  if ((bits & 0x7c00u) != 0x7c00u) return small_float(bits, 5, 10, 15);
  if ((bits & 0x3ffu) != 0) return kNaN;
  return (bits & 0x8000u) != 0 ? -kInfinity : kInfinity;
}

// Source: c10/util/Float8_*.h.  The fnuz types have one NaN, 0x80, and no infinity.
double float8(DType dtype, std::uint8_t bits) {
  switch (dtype) {
    case DType::float8_e5m2:
      return half(static_cast<std::uint16_t>(bits << 8));
    case DType::float8_e4m3fn:
      return (bits & 0x7fu) == 0x7fu ? kNaN : small_float(bits, 4, 3, 7);
    case DType::float8_e5m2fnuz:
      return bits == 0x80u ? kNaN : small_float(bits, 5, 2, 16);
    case DType::float8_e4m3fnuz:
      return bits == 0x80u ? kNaN : small_float(bits, 4, 3, 8);
    case DType::float8_e8m0fnu:
      return bits == 0xffu ? kNaN : std::ldexp(1.0, static_cast<int>(bits) - 127);
    default:
      return kNaN;
  }
}

std::array<double, 256> float8_table(DType dtype) {
  std::array<double, 256> table{};
  for (std::size_t i = 0; i < table.size(); ++i) table[i] = float8(dtype, static_cast<std::uint8_t>(i));
  return table;
}

std::vector<double> half_table() {
  std::vector<double> table(65536);
  for (std::size_t i = 0; i < table.size(); ++i) table[i] = half(static_cast<std::uint16_t>(i));
  return table;
}

double from_half(const std::byte* at) {
  static const std::vector<double> kTable = half_table();
  return kTable[load_le<std::uint16_t>(at)];
}

template <typename T>
T load_number(const std::byte* at) {
  if constexpr (std::endian::native == std::endian::little) {
    T number;
    std::memcpy(&number, at, sizeof number);  // one instruction, and loops over it become vectors
    return number;
  } else if constexpr (std::is_same_v<T, float>) {
    return std::bit_cast<float>(load_le<std::uint32_t>(at));
  } else if constexpr (std::is_same_v<T, double>) {
    return std::bit_cast<double>(load_le<std::uint64_t>(at));
  } else {
    return static_cast<T>(load_le<std::make_unsigned_t<T>>(at));
  }
}

// Numbers of one block, all finite.  Eight sums side by side: an order of additions that compilers can make
// vectors of.
constexpr std::size_t kBlock = 2048, kLanes = 8;
using Block = std::array<double, kBlock>;

double sum_of(const Block& values, std::size_t count, double center, bool squared) {
  std::array<double, kLanes> sums{};
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double distance = values[i + lane] - center;
      sums[lane] += squared ? distance * distance : distance;
    }
  double sum = 0;
  for (; i < count; ++i) sum += squared ? (values[i] - center) * (values[i] - center) : values[i] - center;
  for (const double lane : sums) sum += lane;
  return sum;
}

struct Range {
  double low, high;
};
Range range_of(const Block& values, std::size_t count) {
  std::array<double, kLanes> low, high;
  low.fill(values[0]);
  high.fill(values[0]);
  for (std::size_t i = 0; i < count; ++i) {
    double& l = low[i % kLanes];
    double& h = high[i % kLanes];
    l = values[i] < l ? values[i] : l;
    h = values[i] > h ? values[i] : h;
  }
  return {*std::min_element(low.begin(), low.end()), *std::max_element(high.begin(), high.end())};
}

std::size_t count_zeros(const Block& values, std::size_t count) {
  std::size_t zeros = 0;
  for (std::size_t i = 0; i < count; ++i) zeros += static_cast<std::size_t>(values[i] == 0);
  return zeros;
}

bool all_finite(const Block& values, std::size_t count) {
  std::size_t strange = 0;
  for (std::size_t i = 0; i < count; ++i)
    strange += static_cast<std::size_t>(!(std::abs(values[i]) <= std::numeric_limits<double>::max()));
  return strange == 0;
}

}  // namespace

bool is_measurable(DType dtype) {
  switch (dtype) {
    case DType::quint4x2:
    case DType::quint2x4:
    case DType::bits1x8:
    case DType::bits2x4:
    case DType::bits4x2:
    case DType::bits8:
    case DType::bits16:
    case DType::float4_e2m1fn_x2:
      return false;
    default:
      return true;
  }
}

StatisticsMeter::StatisticsMeter(DType dtype) : dtype_(dtype) {}

// Passes over a block that is in the cache: the mean, then the squared distances from it.  Blocks are joined
// by the formula of Chan, Golub and LeVeque, which stays exact where a single sum of squares cancels.
template <typename Load>
void StatisticsMeter::add_numbers(Bytes elements, std::size_t size, Load load) {
  Block values;
  for (std::size_t at = 0; at < elements.size();) {
    std::size_t count = std::min(kBlock, (elements.size() - at) / size);
    for (std::size_t i = 0; i < count; ++i)
      values[i] = static_cast<double>(load(elements.data() + at + i * size));
    at += count * size;
    totals_.count += count;
    if (!all_finite(values, count)) {
      const auto end = values.begin() + static_cast<std::ptrdiff_t>(count);
      totals_.nans += static_cast<std::uint64_t>(
          std::count_if(values.begin(), end, [](double v) { return std::isnan(v); }));
      totals_.infinities += static_cast<std::uint64_t>(
          std::count_if(values.begin(), end, [](double v) { return std::isinf(v); }));
      count = static_cast<std::size_t>(
          std::remove_if(values.begin(), end, [](double v) { return !std::isfinite(v); }) - values.begin());
    }
    if (count == 0) continue;
    totals_.zeros += count_zeros(values, count);
    const auto [low, high] = range_of(values, count);
    totals_.min = finite_ > 0 ? std::min(totals_.min, low) : low;
    totals_.max = finite_ > 0 ? std::max(totals_.max, high) : high;
    const double mean = sum_of(values, count, 0, false) / static_cast<double>(count);
    merge(count, mean, sum_of(values, count, mean, true));
  }
}

void StatisticsMeter::merge(std::uint64_t count, double mean, double squares) {
  const auto before = static_cast<double>(finite_), more = static_cast<double>(count);
  const double distance = mean - totals_.mean;
  totals_.mean += distance * more / (before + more);
  squares_ += squares + distance * distance * before * more / (before + more);
  finite_ += count;
}

void StatisticsMeter::add(Bytes elements) {
  const std::size_t size = info(dtype_).itemsize;
  const auto plain = [&]<typename T>(T) {
    add_numbers(elements, size, [](const std::byte* at) { return load_number<T>(at); });
  };
  switch (dtype_) {
    case DType::boolean:
      return add_numbers(elements, size,
                         [](const std::byte* at) { return static_cast<std::uint8_t>(*at != std::byte{0}); });
    case DType::uint8:
    case DType::quint8:
      return plain(std::uint8_t{});
    case DType::int8:
    case DType::qint8:
      return plain(std::int8_t{});
    case DType::int16:
      return plain(std::int16_t{});
    case DType::uint16:
      return plain(std::uint16_t{});
    case DType::int32:
    case DType::qint32:
      return plain(std::int32_t{});
    case DType::uint32:
      return plain(std::uint32_t{});
    case DType::int64:
      return plain(std::int64_t{});
    case DType::uint64:
      return plain(std::uint64_t{});
    case DType::float32:
      return plain(float{});
    case DType::float64:
      return plain(double{});
    case DType::float16:
      return add_numbers(elements, size, from_half);
    case DType::bfloat16:
      return add_numbers(elements, size, [](const std::byte* at) {
        return std::bit_cast<float>(static_cast<std::uint32_t>(load_le<std::uint16_t>(at)) << 16);
      });
    case DType::complex32:
      return add_numbers(elements, size,
                         [](const std::byte* at) { return std::hypot(from_half(at), from_half(at + 2)); });
    case DType::complex64:
      return add_numbers(elements, size, [](const std::byte* at) {
        return std::hypot(static_cast<double>(load_number<float>(at)),
                          static_cast<double>(load_number<float>(at + 4)));
      });
    case DType::complex128:
      return add_numbers(elements, size, [](const std::byte* at) {
        return std::hypot(load_number<double>(at), load_number<double>(at + 8));
      });
    case DType::float8_e5m2:
    case DType::float8_e4m3fn:
    case DType::float8_e5m2fnuz:
    case DType::float8_e4m3fnuz:
    case DType::float8_e8m0fnu: {
      const auto table = float8_table(dtype_);
      return add_numbers(elements, size,
                         [&](const std::byte* at) { return table[static_cast<std::size_t>(*at)]; });
    }
    default:
      return;
  }
}

Statistics StatisticsMeter::result(std::uint64_t times) const {
  Statistics result = totals_;
  result.std = finite_ == 0 ? 0 : std::sqrt(squares_ / static_cast<double>(finite_));
  for (std::uint64_t* number : {&result.count, &result.zeros, &result.nans, &result.infinities})
    if (__builtin_mul_overflow(*number, times, number)) *number = std::numeric_limits<std::uint64_t>::max();
  return result;
}

}  // namespace ferry::structure
