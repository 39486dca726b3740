#include <bit>
#include <cmath>

#include "validators/numeric/kernels.h"
#include "validators/numeric/kernels_sums.h"
#include "validators/numeric/kernels_ulp.h"
#include "validators/numeric/kernels_widen.h"

namespace ferry::numeric {
namespace {

static_assert(kRunMax == kBlockParts);

// Below this, squares would lose digits; at 0 they have none to lose.
constexpr long double kSquaresMin = 0x1p-800L;

bool all_zero(const double* parts, std::size_t count) {
  return std::all_of(parts, parts + count, [](double part) { return part == 0; });
}

// The sums of squares tell what the numbers were: NaNs and infinities spoil them, and none is larger than the
// root. Integers have to be exact in double, squares of doubles have to stay inside its range.
bool is_ordinary(const NumberFormat& format, const double* parts, std::size_t count, long double squares) {
  const long double squares_end = format.is_wide_integer() ? 0x1p106L : 0x1p1000L;
  if (!(squares < squares_end)) return false;
  return squares >= kSquaresMin || format.component_bytes < 8 || all_zero(parts, count);
}

FERRY_INLINE void add_sums(const BlockSums& sums, Drift& drift) {
  drift.difference_squares += sums.difference_squares;
  drift.before_squares += sums.before_squares;
  drift.after_squares += sums.after_squares;
  drift.products += sums.products;
  drift.difference_sum += sums.difference;
}

FERRY_INLINE void add_ulps(const BlockUlps& ulps, int fraction_bits, Drift& drift) {
  const std::uint64_t unit = std::uint64_t{1} << fraction_bits;
  drift.max_ulp = std::max(drift.max_ulp,
                           Ulps{ulps.largest >> fraction_bits,
                                static_cast<double>(ulps.largest & (unit - 1)) / static_cast<double>(unit)});
  const auto bin = [&](int width) {
    return static_cast<std::size_t>(width < fraction_bits ? 1 : width - fraction_bits + 2);
  };
  const int width_max = static_cast<int>(std::bit_width(ulps.largest));
  int width = 0;
  while (width < width_max && ulps.widths[width] == 0) ++width;
  if (ulps.zeros > 0 || ulps.widths[width] > 0)
    drift.ulps.cover(ulps.zeros > 0 ? 0 : bin(width), ulps.widths[width] > 0 ? bin(width_max) : 0);
  drift.ulps.add(0, ulps.zeros);
  for (; width <= width_max; ++width) drift.ulps.add(bin(width), ulps.widths[width]);
}

// Distances of the run, in `distances`; false where only the exact way has them.
template <typename Distance>
FERRY_INLINE bool find_run_distances(const Pairing& pairing, const Run& run, const Block& block,
                                     std::size_t parts, Distance* distances) {
  const Order order = order_of(pairing.before);
  if constexpr (sizeof(Distance) == 8) {
    if (!pairing.one_type && pairing.scale.is_integer) {
      find_distances(block, parts, distances);
    } else if (!pairing.one_type) {
      if (!find_distances(pairing.scale, block, parts, distances)) return false;
    } else {
      find_distances<std::uint64_t>(order, run.before, run.after, parts, distances);
    }
  } else if (pairing.before.component_bytes == 1) {
    find_distances<std::uint8_t>(order, run.before, run.after, parts, distances);
  } else if (pairing.before.component_bytes == 2) {
    find_distances<std::uint16_t>(order, run.before, run.after, parts, distances);
  } else {
    find_distances<std::uint32_t>(order, run.before, run.after, parts, distances);
  }
  if (pairing.is_complex()) join_parts(distances, run.count);
  return true;
}

// Equal pairs, two types: signs can only differ where both are zero.
FERRY_INLINE std::uint64_t count_zero_signs(const Block& block, const std::uint64_t* distances,
                                            std::size_t count, std::size_t components) {
  const auto differs = [&](std::size_t part) __attribute__((always_inline)) {
    return (std::bit_cast<std::uint64_t>(block.before[part]) ^
            std::bit_cast<std::uint64_t>(block.after[part])) >>
           63;
  };
  std::uint64_t signs = 0;
  for (std::size_t i = 0; i < count; ++i)
    signs += distances[i] != 0 ? 0 : components == 1 ? differs(i) : differs(2 * i) | differs(2 * i + 1);
  return signs;
}

FERRY_INLINE void add_bits(const Pairing& pairing, const Run& run, std::uint64_t differing, Drift& drift) {
  const std::size_t size = pairing.before.element_bytes();
  const std::uint64_t unequal = count_unequal(size, run.before, run.after, run.count);
  drift.bits_flipped += count_flipped(run.before, run.after, run.count * size);
  drift.bits_differing += unequal;
  if (pairing.before.kind == Kind::floating) drift.zero_signs += unequal - differing;
}

// The distances of a run and all that follows from them.
template <typename Distance>
FERRY_INLINE bool add_distances(const Pairing& pairing, const Run& run, const Block& block, std::size_t parts,
                                Drift& drift) {
  Distance distances[kBlockParts];
  if (!find_run_distances(pairing, run, block, parts, distances)) return false;
  const BlockUlps ulps = count_distances(distances, run.count);
  const std::uint64_t differing = run.count - ulps.zeros;
  const bool finer = !pairing.one_type && !pairing.scale.is_integer;
  add_ulps(ulps, finer ? 53 - pairing.scale.significand_bits : 0, drift);
  drift.differing += differing;
  if (pairing.one_type) {
    add_bits(pairing, run, differing, drift);
  } else {
    drift.bits_differing += differing;
    if constexpr (sizeof(Distance) == 8)
      drift.zero_signs += count_zero_signs(block, distances, run.count, pairing.is_complex() ? 2 : 1);
  }
  return true;
}

// What lies above the hull's floor, looked at one by one.
void offer_suspects(const double* before, const double* difference, std::size_t count, const Masks* suspects,
                    HullCollector& hull) {
  constexpr std::size_t kGroup = 4 * kLanes;
  for (std::size_t begin = 0; begin < count; begin += kGroup) {
    const Masks above = suspects[begin / kGroup];
    if (!any(above)) continue;
    for (std::size_t i = begin; i < std::min(begin + kGroup, count); ++i)
      if (above[i % kLanes] != 0) hull.offer(std::abs(before[i]), std::abs(difference[i]));
  }
  hull.end_run();
}

FERRY_INLINE void add_extremes(const Pairing& pairing, const Run& run, Block& block, std::size_t padded,
                               Drift& drift, HullCollector& hull) {
  const double *before = block.before, *difference = block.difference;
  if (pairing.is_complex()) {
    find_moduli(block.before, padded, block.before_modulus);
    find_moduli(block.difference, padded, block.difference_modulus);
    before = block.before_modulus;
    difference = block.difference_modulus;
    padded /= 2;
  }
  const BlockExtremes extremes = find_extremes(before, difference, padded, hull.floor(), block.suspects);
  if (extremes.max_abs > drift.max_abs) {
    if (drift.nonfinite_mismatches == 0) {
      std::size_t i = 0;
      while (std::abs(difference[i]) != extremes.max_abs) ++i;
      set_worst(pairing, run, i, drift);
    }
    drift.max_abs = extremes.max_abs;
  }
  drift.max_rel = std::max(drift.max_rel, extremes.max_rel);
  if (extremes.suspects) offer_suspects(before, difference, run.count, block.suspects, hull);
}

// Squares of such parts vanish, and with them the modulus of a complex number.
FERRY_INLINE bool any_tiny(const double* parts, std::size_t count) {
  std::uint64_t tiny = 0;
  for (std::size_t i = 0; i < count; ++i) tiny += parts[i] != 0 && std::abs(parts[i]) < 0x1p-400 ? 1 : 0;
  return tiny != 0;
}

FERRY_INLINE bool is_ordinary(const Pairing& pairing, const Block& block, std::size_t parts,
                              const BlockSums& sums) {
  if (!is_ordinary(pairing.before, block.before, parts, sums.before_squares) ||
      !is_ordinary(pairing.after, block.after, parts, sums.after_squares))
    return false;
  if (pairing.before.component_bytes < 8 && pairing.after.component_bytes < 8) return true;
  if (pairing.is_complex() && (any_tiny(block.before, parts) || any_tiny(block.difference, parts)))
    return false;
  return sums.difference_squares >= kSquaresMin || all_zero(block.difference, parts);
}

FERRY_INLINE bool measure_run(const Pairing& pairing, const Run& run, Drift& drift, HullCollector& hull) {
  Block block;
  const std::size_t components = pairing.is_complex() ? 2 : 1, parts = run.count * components;
  const std::size_t padded = (parts + kStep - 1) / kStep * kStep;
  widen(pairing.before, run.before, run.count * pairing.before.components, block.before);
  widen(pairing.after, run.after, run.count * pairing.after.components, block.after);
  if (pairing.before.components < components) spread(block.before, run.count);
  if (pairing.after.components < components) spread(block.after, run.count);
  std::fill(block.before + parts, block.before + padded, 0);
  std::fill(block.after + parts, block.after + padded, 0);

  const BlockSums sums = sum_block(block, padded, components);
  if (!is_ordinary(pairing, block, parts, sums)) return false;
  const bool narrow = pairing.one_type && pairing.before.component_bytes < 8;
  if (!(narrow ? add_distances<std::uint32_t>(pairing, run, block, parts, drift)
               : add_distances<std::uint64_t>(pairing, run, block, parts, drift)))
    return false;
  drift.elements += run.count;
  drift.finite += run.count;
  add_sums(sums, drift);
  add_extremes(pairing, run, block, padded, drift, hull);
  return true;
}

using MeasureRun = bool (*)(const Pairing&, const Run&, Drift&, HullCollector&);

bool measure_anywhere(const Pairing& pairing, const Run& run, Drift& drift, HullCollector& hull) {
  return measure_run(pairing, run, drift, hull);
}

// The same once more for processors of the last decade.  Without FMA: a product has to be rounded as it is
// elsewhere.  Clang 14 cannot ask for lzcnt, whose code means something else where it is missing.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
[[gnu::target("avx2,bmi,bmi2,lzcnt,popcnt")]] bool measure_with_avx2(const Pairing& pairing, const Run& run,
                                                                     Drift& drift, HullCollector& hull) {
  return measure_run(pairing, run, drift, hull);
}
MeasureRun fastest() {
  const bool has_all = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
                       __builtin_cpu_supports("lzcnt") && __builtin_cpu_supports("popcnt");
  return has_all ? measure_with_avx2 : measure_anywhere;
}
#else
MeasureRun fastest() { return measure_anywhere; }
#endif

}  // namespace

bool measure_plainly(const Pairing& pairing, const Run& run, Drift& drift, HullCollector& hull) {
  static const MeasureRun measure = fastest();
  return measure(pairing, run, drift, hull);
}

}  // namespace ferry::numeric
