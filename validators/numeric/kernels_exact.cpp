#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <cstring>

#include "validators/numeric/kernels.h"

namespace ferry::numeric {
namespace {

__extension__ using WideInteger = __int128;  // differences of 64-bit integers need 65 bits

struct Element {
  long double real = 0, imaginary = 0;
  bool nan = false, infinite = false;
};

Element decode(const NumberFormat& format, const std::byte* at) {
  const std::size_t bytes = format.component_bytes;
  Element element;
  element.real = decode_component(format, load_bits(at, bytes));
  if (format.components > 1) element.imaginary = decode_component(format, load_bits(at + bytes, bytes));
  element.nan = std::isnan(element.real) || std::isnan(element.imaginary);
  element.infinite = !element.nan && (std::isinf(element.real) || std::isinf(element.imaginary));
  return element;
}

bool differs_in_sign(long double a, long double b) { return std::signbit(a) != std::signbit(b); }

// after − before, rounded once.
double difference_of(const Pairing& pairing, long double before, long double after) {
  const bool wide = pairing.before.is_wide_integer() || pairing.after.is_wide_integer();
  if (!wide) return static_cast<double>(after) - static_cast<double>(before);
  if (pairing.scale.is_integer)
    return static_cast<double>(static_cast<WideInteger>(after) - static_cast<WideInteger>(before));
  const long double sum = after - before, part = sum - after;
  const long double lost = (after - (sum - part)) - (before + part);  // Knuth's two-sum: exact
  const auto nearest = static_cast<double>(sum);
  if (lost == 0) return nearest;
  // Where `sum` lies midway between two doubles, what it lost decides.
  const double other = std::nextafter(nearest, lost > 0 ? INFINITY : -INFINITY);
  return sum - nearest == other - sum ? other : nearest;
}

// What sums take for the difference: exact where integers are wide, and going on where doubles end.
long double for_sums(const Pairing& pairing, double difference, long double before, long double after) {
  const bool wide = pairing.before.is_wide_integer() || pairing.after.is_wide_integer();
  return wide || std::isinf(difference) ? after - before : difference;
}

class ExactMeter {
 public:
  ExactMeter(const Pairing& pairing, const Run& run, Drift& drift, HullCollector& hull)
      : pairing_(pairing), run_(run), drift_(drift), hull_(hull) {}

  void add(std::size_t i) {
    const std::size_t size = pairing_.before.element_bytes();
    const std::byte* const before_at = run_.before + i * size;
    const std::byte* const after_at = run_.after + i * pairing_.after.element_bytes();
    const Element before = decode(pairing_.before, before_at), after = decode(pairing_.after, after_at);
    bool bits_differ = false;
    if (pairing_.one_type)
      for (std::size_t byte = 0; byte < size; ++byte) {
        const auto flipped = static_cast<unsigned char>(before_at[byte] ^ after_at[byte]);
        drift_.bits_flipped += static_cast<std::uint64_t>(std::popcount(flipped));
        bits_differ |= flipped != 0;
      }
    add_values(i, before, after, bits_differ);
  }

 private:
  void add_values(std::size_t i, const Element& before, const Element& after, bool bits_differ) {
    drift_.nans_before += before.nan;
    drift_.nans_after += after.nan;
    drift_.infinities_before += before.infinite;
    drift_.infinities_after += after.infinite;
    const bool nans = before.nan && after.nan;
    const bool equal = before.real == after.real && before.imaginary == after.imaginary;
    const bool differs = !equal && !nans;
    drift_.nans_both += nans;
    drift_.nan_payloads += nans && bits_differ;
    drift_.differing += differs;
    drift_.zero_signs += equal && (differs_in_sign(before.real, after.real) ||
                                   differs_in_sign(before.imaginary, after.imaginary));
    drift_.bits_differing += pairing_.one_type ? bits_differ : differs;
    if (!before.nan && !after.nan && !before.infinite && !after.infinite)
      add_finite(i, before, after, differs);
    else if (differs && drift_.nonfinite_mismatches++ == 0)
      set_worst(pairing_, run_, i, drift_);
  }

  void add_finite(std::size_t i, const Element& before, const Element& after, bool differs) {
    ++drift_.finite;
    Ulps ulps = ulp_distance(pairing_.scale, before.real, after.real);
    const double real = difference_of(pairing_, before.real, after.real);
    double modulus = std::abs(real), size = static_cast<double>(std::abs(before.real));
    add_sums(before.real, after.real, for_sums(pairing_, real, before.real, after.real));
    drift_.difference_sum += for_sums(pairing_, real, before.real, after.real);
    if (pairing_.is_complex()) {
      const double imaginary = difference_of(pairing_, before.imaginary, after.imaginary);
      modulus = static_cast<double>(
          std::hypot(static_cast<long double>(real), static_cast<long double>(imaginary)));
      size = static_cast<double>(std::min<long double>(std::hypot(before.real, before.imaginary), DBL_MAX));
      ulps = std::max(ulps, ulp_distance(pairing_.scale, before.imaginary, after.imaginary));
      add_sums(before.imaginary, after.imaginary,
               for_sums(pairing_, imaginary, before.imaginary, after.imaginary));
    }
    if (differs && drift_.nonfinite_mismatches == 0 && (!drift_.worst || modulus > drift_.max_abs))
      set_worst(pairing_, run_, i, drift_);
    drift_.max_abs = std::max(drift_.max_abs, modulus);
    if (size > 0) drift_.max_rel = std::max(drift_.max_rel, modulus / size);
    drift_.max_ulp = std::max(drift_.max_ulp, ulps);
    drift_.ulps.add(ulp_bin(ulps), 1);
    hull_.offer(size, modulus);
  }

  void add_sums(long double before, long double after, long double difference) {
    drift_.before_squares += before * before;
    drift_.after_squares += after * after;
    drift_.products += before * after;
    drift_.difference_squares += difference * difference;
  }

  const Pairing& pairing_;
  const Run& run_;
  Drift& drift_;
  HullCollector& hull_;
};

Number number_at(const NumberFormat& format, const std::byte* at) {
  const Element element = decode(format, at);
  const std::size_t bytes = std::min(format.element_bytes(), sizeof(std::uint64_t));
  return {static_cast<double>(element.real), static_cast<double>(element.imaginary), load_bits(at, bytes)};
}

}  // namespace

void measure_exactly(const Pairing& pairing, const Run& run, Drift& drift, HullCollector& hull) {
  ExactMeter meter(pairing, run, drift, hull);
  for (std::size_t i = 0; i < run.count; ++i) meter.add(i);
  drift.elements += run.count;
}

void set_worst(const Pairing& pairing, const Run& run, std::size_t i, Drift& drift) {
  drift.worst =
      Worst{run.first + i, number_at(pairing.before, run.before + i * pairing.before.element_bytes()),
            number_at(pairing.after, run.after + i * pairing.after.element_bytes())};
}

}  // namespace ferry::numeric
