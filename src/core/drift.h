// How far the numbers of one tensor are from those of another: measured, not judged.
//
// A pair is the element of `before` and the element of `after` with one index.  All distances are taken over
// pairs in which both numbers are finite; pairs with a NaN or an infinity are counted apart.
//
// The difference is after − before, computed in double: rounded once at most, also for 64-bit integers; of a
// 64-bit integer and a floating-point number, in long double.  Relative differences are
// |after − before| / |before| over pairs with before ≠ 0.
//
// A complex number counts as one element.  Differences are moduli (to within 1 ULP; a |before| that is larger
// than any double counts as the largest one), ULP distances the larger of the two parts, products the real
// part of after · conj(before).  It is NaN when a part is; infinite when a part is and none is NaN.  A real
// number beside a complex one has the imaginary part 0.
//
// ULP distance of one type: the number of representable values from one to the other (±0 are one value); of
// integer types, the difference.  Of two types, after widening both: the distance on the scale of the coarser
// type (the one with the shorter significand, of equal ones the one with less room near zero; of a floating
// and an integer type the floating one).  The marks of a scale are the type's values, between which it is
// linear, so a correctly rounded cast is at most ½ away.  It goes on beyond the type's largest value, and a
// type without zero and sign (float8_e8m0fnu) is given both.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/dtype.h"

namespace ferry {

// A distance in units in the last place: a whole part, exact up to 2^64 − 1, and a fraction in [0, 1), which
// is zero for two tensors of one type.
struct Ulps {
  std::uint64_t whole = 0;
  double fraction = 0;
  friend bool operator==(const Ulps&, const Ulps&) = default;
  friend auto operator<=>(const Ulps& a, const Ulps& b) = default;  // fractions are never NaN
};

// Bins of ULP distances: 0 holds exactly 0; 1 holds (0, ½]; 2 holds (½, 1]; bin b > 2 holds (2^(b−3),
// 2^(b−2)].
inline constexpr std::size_t kUlpBins = 67;
// Counts by bin.  Takes memory for the bins from the first to the last one that was written: most tensors of
// most comparisons are equal, and distances in the others lie near each other.
class UlpHistogram {
 public:
  std::uint64_t operator[](std::size_t bin) const {
    return bin - first_ < bins_.size() ? bins_[bin - first_] : 0;  // wraps below the first one
  }
  void add(std::size_t bin, std::uint64_t count) {
    if (count != 0) counter(bin) += count;
  }
  // Room for these bins, and no more than that, where nothing was written yet.
  void cover(std::size_t first, std::size_t last);
  // Every count, that many times; those that no number can hold become the largest one.
  void multiply(std::uint64_t times);
  bool empty() const { return bins_.empty(); }
  friend bool operator==(const UlpHistogram& a, const UlpHistogram& b) {
    for (std::size_t bin = 0; bin < kUlpBins; ++bin)
      if (a[bin] != b[bin]) return false;
    return true;
  }

 private:
  std::uint64_t& counter(std::size_t bin);

  std::size_t first_ = 0;
  std::vector<std::uint64_t> bins_;  // from first_ on
};
std::size_t ulp_bin(const Ulps& distance);

// One number of either tensor: the real part, and the imaginary part of complex types.  Integers beyond 2^53
// are rounded here; `bits` has them exactly (of complex128 the real part).
struct Number {
  double real = 0, imaginary = 0;
  std::uint64_t bits = 0;
};

struct Worst {
  std::uint64_t element = 0;  // row-major index of the pair
  Number before, after;
};

// A corner of the upper hull of all points (|before|, |after − before|): what decides for any atol and rtol ≥
// 0 whether |after − before| ≤ atol + rtol · |before| holds everywhere.  The hull begins at (0, 0), which is
// not listed, and ends at the largest difference: `before` and `difference` grow, slopes fall, but to a last
// point whose difference is infinite.
struct HullPoint {
  double before = 0, difference = 0;
  friend bool operator==(const HullPoint&, const HullPoint&) = default;
};

struct Drift {
  DType before = DType::float32, after = DType::float32;
  std::uint64_t elements = 0;
  std::uint64_t bits_differing = 0;  // pairs whose bits differ; for two types, whose values differ
  std::uint64_t bits_flipped = 0;    // bits that differ, in all pairs; 0 for two types
  std::uint64_t differing = 0;       // pairs whose values differ: not ±0, and not two NaNs
  std::uint64_t zero_signs = 0;      // pairs of equal values that differ in the sign of a zero
  std::uint64_t nans_before = 0, nans_after = 0, infinities_before = 0, infinities_after = 0;
  std::uint64_t nans_both = 0;     // pairs of two NaNs
  std::uint64_t nan_payloads = 0;  // pairs of two NaNs whose bits differ; 0 for two types
  // Pairs that no finite distance describes: a NaN and a number, an infinity and anything but itself.
  std::uint64_t nonfinite_mismatches = 0;
  std::uint64_t finite = 0;  // pairs of two finite numbers: what follows is taken over these

  double max_abs = 0, max_rel = 0;
  Ulps max_ulp;
  // Where |after − before| is largest; where a non-finite mismatch is first, if there is any; of equals the
  // first. Nothing when no value differs.  Of types that are not numeric, the first pair that differs.
  std::optional<Worst> worst;
  // Σd², Σb², Σa², Σa·b.  Long double (64 bits of significand or more) for its range as much as for its
  // digits: squares of finite doubles neither overflow nor vanish.
  long double difference_squares = 0, before_squares = 0, after_squares = 0, products = 0;
  long double difference_sum = 0;  // Σ(after − before), of complex numbers the real parts
  UlpHistogram ulps;               // finite pairs
  std::vector<HullPoint> hull;     // by growing `before`; empty when no finite pair differs
  bool with_hull = true;           // false: nobody will ask for least_atol, and no hull is kept

  bool bits_equal() const { return before == after && bits_differing == 0; }

  double mean_difference() const;     // Σ(after − before) / finite; 0 of nothing
  double rms() const;                 // √(Σd² / finite); 0 of nothing
  double relative_frobenius() const;  // √(Σd² / Σb²); 0 when Σd² is, infinite when only Σb² is 0
  double cosine() const;  // Σab / √(Σa² Σb²); 1 when nothing differs, NaN when one side is 0
  double snr_db() const;  // 10 log₁₀(Σb² / Σd²); ∞ when Σd² is 0, −∞ when only Σb² is
  // The least atol with which |after − before| ≤ atol + rtol · |before| holds for every finite pair; exact up
  // to rounding, for any rtol ≥ 0.
  double least_atol(double rtol) const;

  // Makes `hull` the hull of itself and of these points, in any order; their numbers are ≥ 0.
  void add_to_hull(std::span<const HullPoint> points);

  // Adds the pairs of another part of the same two tensors, which lie behind those counted so far.  The
  // result depends on the parts and their order only.
  void merge(const Drift& later);
};

// What happened to a tensor, found by testing a hypothesis on every element (validators/numeric/explain.h).
enum class Cause : std::uint8_t {
  one_bit,           // one bit of one element
  one_element,       // one element
  float16_rounding,  // equal to the rounding of before to the nearest float16 (bfloat16, …), ties to even
  bfloat16_rounding,
  tf32_rounding,     // 10 bits of fraction, nearest even
  tf32_truncation,   // 10 bits of fraction, cut off: what tensor cores may do with their operands
  float8_rounding,   // the text says which
  float32_rounding,  // of float64
  scaled,            // before × α, each element to within 1 ULP
  negated,           // α = −1, exactly
  shifted,           // before + c, each element to within 1 ULP of the larger term
  transposed,        // two or more axes changed places; the text has the order
  permuted,     // slices along one axis changed places; blocks of equal size (gates of an LSTM) are named
  reversed,     // of them: the order along one axis is turned round
  rearranged,   // the same elements in another order that no axis explains
  zeros,        // all zeros now
  constant,     // one value everywhere now
  stats_reset,  // running_mean is 0, running_var 1, num_batches_tracked 0 now: as a new module has them
  counter,      // a num_batches_tracked that counted on (or back); no effect on eval
  nonfinite,    // numbers became NaN or infinite
  swapped,      // the tensor has the content that another one had, and that one has its content
  copied,       // the tensor has the content that another one had
};
std::string_view cause_name(Cause cause);  // "float16_rounding": for programs

struct Explanation {
  Cause cause;
  std::string text;  // "equal to the float16 rounding of before", "before × 1.00001", "rows permuted: …"
};

}  // namespace ferry
