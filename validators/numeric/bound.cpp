#include "validators/numeric/bound.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>

#include "src/core/text.h"
#include "validators/numeric/measure_block.h"

namespace ferry::numeric {
namespace {

// A measured number: four digits tell how far off it is.
std::string measured(double number) {
  std::array<char, 32> text;
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), number, std::chars_format::general, 4);
  return {text.data(), end.ptr};
}

std::string measured(const Ulps& ulps) {
  return ulps.fraction == 0 ? grouped(ulps.whole) : measured(static_cast<double>(ulps.whole) + ulps.fraction);
}

// A bound: every digit of it.  Whole numbers go without ".0".
std::string given(double number) {
  std::string text = real_text(number);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

std::string counted(std::uint64_t count, std::string_view one, std::string_view many) {
  return grouped(count).append(" ").append(count == 1 ? one : many);
}

std::string how_many_differ(const Drift& drift) {
  return grouped(drift.differing) + " of " + counted(drift.elements, "element", "elements") +
         (drift.differing == 1 ? " differs" : " differ");
}

// Why a drift is over its bound, begun by how many elements differ at all.
class Reasons {
 public:
  void add(const std::string& reason) { text_ += "; " + reason; }
  Verdict verdict(const Drift& drift) const {
    if (text_.empty()) return {};
    return {false, drift.differing > 0 ? how_many_differ(drift) + text_ : text_.substr(2)};
  }

 private:
  std::string text_;
};

void judge_exactly(const Drift& drift, Reasons& reasons) {
  if (drift.max_abs > 0)
    reasons.add("max |Δ| " + measured(drift.max_abs) + ", " + measured(drift.max_ulp) + " ULP");
  if (!is_numeric(drift.before) && drift.bits_flipped > 0)
    reasons.add(counted(drift.bits_flipped, "bit", "bits") + " flipped");
  if (drift.zero_signs > 0)
    reasons.add(counted(drift.zero_signs, "zero has", "zeros have") + " another sign");
  if (drift.before != drift.after) return;
  if (drift.nan_payloads > 0)
    reasons.add(counted(drift.nan_payloads, "NaN has", "NaNs have") + " other bits");
  const std::uint64_t named = drift.differing + drift.zero_signs + drift.nan_payloads;
  if (drift.bits_differing > named)  // true can be any byte but 0
    reasons.add(counted(drift.bits_differing - named, "equal element has", "equal elements have") +
                " other bits");
}

void judge_absolute(const Drift& drift, const Bound& bound, Reasons& reasons) {
  const double rtol = bound.rtol.value_or(0), atol = bound.atol.value_or(0);
  const double needed = drift.least_atol(rtol);
  if (needed <= atol) return;
  std::string allowed = "atol " + given(atol);
  if (rtol != 0) allowed += " + rtol " + given(rtol) + " · |before|";
  reasons.add("|Δ| exceeds " + allowed + " by up to " + measured(needed - atol) + " (max |Δ| " +
              measured(drift.max_abs) + ")");
}

struct Precision {
  double rtol, atol;
};

Precision precision_of(DType dtype) {
  switch (dtype) {
    case DType::float16:
    case DType::complex32:
      return {1e-3, 1e-5};
    case DType::bfloat16:
      return {1.6e-2, 1e-5};
    case DType::float64:
    case DType::complex128:
      return {1e-7, 1e-7};
    case DType::float32:
    case DType::complex64:
    case DType::quint8:
    case DType::quint2x4:
    case DType::quint4x2:
    case DType::qint8:
    case DType::qint32:
      return {1.3e-6, 1e-5};
    default:
      return {0, 0};
  }
}

bool is_within(const Ulps& ulps, double bound) {
  if (!(bound >= 0)) return false;
  if (bound >= 0x1p64) return true;
  const double whole = std::floor(bound);
  const Ulps allowed{static_cast<std::uint64_t>(whole), bound - whole};
  return ulps <= allowed;
}

}  // namespace

Verdict judge(const Drift& drift, const Bound& bound) {
  Reasons reasons;
  if (bound.exact() || !is_numeric(drift.before)) {
    judge_exactly(drift, reasons);
  } else {
    if (bound.rtol || bound.atol) judge_absolute(drift, bound, reasons);
    if (bound.ulp && !is_within(drift.max_ulp, *bound.ulp))
      reasons.add("max ULP " + measured(drift.max_ulp) + " exceeds " + given(*bound.ulp));
  }
  if (drift.nonfinite_mismatches > 0)
    reasons.add(counted(drift.nonfinite_mismatches, "NaN or infinity has", "NaNs or infinities have") +
                " no equal on the other side");
  if (bound.nan == NaNPolicy::strict && drift.nans_both > 0)
    reasons.add(counted(drift.nans_both, "pair", "pairs") + " of NaNs, which strictly are not equal");
  return reasons.verdict(drift);
}

Bound torch_testing_bound(DType before, DType after) {
  const Precision a = precision_of(before), b = precision_of(after);
  Bound bound;
  bound.rtol = std::max(a.rtol, b.rtol);
  bound.atol = std::max(a.atol, b.atol);
  return bound;
}

Bound bound_for(std::span<const BoundRow> rows, std::string_view path, DType before, DType after,
                NaNPolicy nan, bool quantized) {
  const bool exact = quantized || info(before).quantized || info(after).quantized;
  Bound bound;
  bound.nan = nan;
  for (const BoundRow& row : rows) {
    if (!glob_match(row.pattern, path)) continue;
    if (row.torch_testing) {
      const Bound defaults = torch_testing_bound(before, after);
      bound.rtol = exact ? 0 : defaults.rtol;
      bound.atol = exact ? 0 : defaults.atol;
    }
    if (row.rtol) bound.rtol = row.rtol;
    if (row.atol) bound.atol = row.atol;
    if (row.ulp) bound.ulp = row.ulp;
  }
  return bound;
}

}  // namespace ferry::numeric
