#include "validators/numeric/measure_block.h"

#include <algorithm>
#include <bit>

#include "validators/numeric/kernels.h"

namespace ferry::numeric {
namespace {

Pairing pairing_of(const Drift& drift) {
  const NumberFormat& before = format_of(drift.before);
  const NumberFormat& after = format_of(drift.after);
  return {before, after, drift.before == drift.after, coarser_scale(before, after)};
}

// Types that are not numeric: bits, and the first element that differs.
void compare_bits(const Pairing& pairing, const Run& run, Drift& drift) {
  const std::size_t size = pairing.before.element_bytes();
  drift.elements += run.count;
  for (std::size_t i = 0; i < run.count; ++i) {
    const std::uint64_t flipped =
        load_bits(run.before + i * size, size) ^ load_bits(run.after + i * size, size);
    if (flipped == 0) continue;
    if (!drift.worst) set_worst(pairing, run, i, drift);
    drift.bits_flipped += static_cast<std::uint64_t>(std::popcount(flipped));
    ++drift.bits_differing;
    ++drift.differing;
  }
}

}  // namespace

bool is_numeric(DType dtype) { return format_of(dtype).kind != Kind::bits; }

void measure_block(Bytes before, Bytes after, std::uint64_t first, Drift& drift) {
  const Pairing pairing = pairing_of(drift);
  const Run run{before.data(), after.data(), before.size() / pairing.before.element_bytes(), first};
  if (pairing.before.kind == Kind::bits) return compare_bits(pairing, run, drift);
  HullCollector hull(drift);
  for (std::size_t i = 0; i < run.count; i += pairing.run_max()) {
    const Run part = run.part(i, std::min(pairing.run_max(), run.count - i), pairing);
    if (!measure_plainly(pairing, part, drift, hull)) measure_exactly(pairing, part, drift, hull);
  }
  hull.fold();
}

}  // namespace ferry::numeric
