#include <algorithm>

#include "src/report/difference_json.h"
#include "src/report/difference_numbers.h"
#include "src/report/difference_words.h"

namespace ferry::report {
namespace {

void shape_field(JsonWriter& json, std::string_view key, std::span<const std::int64_t> shape) {
  json.key(key);
  json.begin_array(JsonWriter::Lines::one);
  for (const std::int64_t size : shape) json.value(size);
  json.end_array();
}

void optional_field(JsonWriter& json, std::string_view key, const std::optional<double>& number) {
  if (number)
    json.field(key, *number);
  else
    json.null_field(key);
}

// As many hexadecimal digits as the type has.
std::string bits_text(std::uint64_t bits, DType dtype) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const std::size_t digits = std::min<std::size_t>(2 * info(dtype).itemsize, 16);
  std::string text = "0x" + std::string(digits, '0');
  for (std::size_t i = text.size(); i-- > 2; bits >>= 4) text[i] = kDigits[bits & 15];
  return text;
}

void number_field(JsonWriter& json, std::string_view key, const Number& number, DType dtype) {
  json.key(key);
  if (is_integral(dtype)) return json.number(number_words(number, dtype));
  if (!is_complex(dtype)) return json.value(number.real);
  json.begin_array(JsonWriter::Lines::one);
  json.value(number.real);
  json.value(number.imaginary);
  json.end_array();
}

void worst_field(JsonWriter& json, const TensorRow& row) {
  const Drift& drift = row.drift;
  if (!drift.worst) return json.null_field("worst");
  json.key("worst");
  json.begin_object(JsonWriter::Lines::one);
  json.key("index");
  json.begin_array();
  for (const std::uint64_t at : index_of(drift.worst->element, row.before.shape)) json.value(at);
  json.end_array();
  number_field(json, "before", drift.worst->before, drift.before);
  number_field(json, "after", drift.worst->after, drift.after);
  json.field("before_bits", bits_text(drift.worst->before.bits, drift.before));
  json.field("after_bits", bits_text(drift.worst->after.bits, drift.after));
  json.end_object();
}

// How many of the elements are what; null where nobody counted.
void count_field(JsonWriter& json, std::string_view key, const TensorRow& row, std::uint64_t count) {
  if (row.counted)
    json.field(key, count);
  else
    json.null_field(key);
}

// Pairs of the upper end of a bin and what is in it; null where nobody counted.
void histogram_field(JsonWriter& json, const TensorRow& row) {
  if (!row.counted) return json.null_field("ulp_histogram");
  const UlpHistogram& ulps = row.drift.ulps;
  json.key("ulp_histogram");
  json.begin_array(JsonWriter::Lines::one);
  for (std::size_t bin = 0; bin < kUlpBins; ++bin) {
    if (ulps[bin] == 0) continue;
    json.begin_array();
    json.number(ulp_bin_end(bin));
    json.value(ulps[bin]);
    json.end_array();
  }
  json.end_array();
}

void drift_field(JsonWriter& json, const TensorRow& row) {
  const Drift& drift = row.drift;
  json.key("drift");
  json.begin_object();
  json.field("elements", drift.elements);
  json.field("bits_equal", drift.bits_equal());
  json.field("bits_differing", drift.bits_differing);
  json.field("bits_flipped", drift.bits_flipped);
  json.field("differing", drift.differing);
  json.field("zero_signs", drift.zero_signs);
  count_field(json, "nans_before", row, drift.nans_before);
  count_field(json, "nans_after", row, drift.nans_after);
  count_field(json, "nans_both", row, drift.nans_both);
  json.field("nan_payloads", drift.nan_payloads);
  count_field(json, "infinities_before", row, drift.infinities_before);
  count_field(json, "infinities_after", row, drift.infinities_after);
  json.field("nonfinite_mismatches", drift.nonfinite_mismatches);
  count_field(json, "finite", row, drift.finite);
  json.field("max_abs", drift.max_abs);
  json.field("max_rel", drift.max_rel);
  json.key("max_ulp");
  json.number(ulps_digits(drift.max_ulp));
  json.field("rms", drift.rms());
  json.field("relative_frobenius", drift.relative_frobenius());
  json.field("cosine", drift.cosine());
  json.field("snr_db", drift.snr_db());
  json.field("mean_difference",
             drift.finite == 0
                 ? 0
                 : static_cast<double>(drift.difference_sum / static_cast<long double>(drift.finite)));
  optional_field(json, "spectral_ratio", row.spectral);
  worst_field(json, row);
  histogram_field(json, row);
  json.end_object();
}

void bound_field(JsonWriter& json, const Bound& bound) {
  json.key("bound");
  json.begin_object(JsonWriter::Lines::one);
  json.field("exact", bound.exact());
  optional_field(json, "rtol", bound.rtol);
  optional_field(json, "atol", bound.atol);
  optional_field(json, "ulp", bound.ulp);
  json.field("nan", bound.nan == NaNPolicy::strict ? "strict" : "equal");
  json.end_object();
}

void explanations_field(JsonWriter& json, const std::vector<Explanation>& explanations) {
  json.key("explanations");
  json.begin_array();
  for (const Explanation& explanation : explanations) {
    json.begin_object(JsonWriter::Lines::one);
    json.field("cause", cause_name(explanation.cause));
    json.field("text", explanation.text);
    json.end_object();
  }
  json.end_array();
}

}  // namespace

void tensor_fields(JsonWriter& json, const TensorRow& row) {
  json.field("name", shown_side(row).path);
  if (is_renamed(row)) json.field("renamed_to", row.after.path);
  if (!row.matched_by.empty()) json.field("matched_by", row.matched_by);
  json.field("state", state_name(row.state));
  if (changes_dtype(row)) {
    json.field("dtype_before", row.before.dtype_name());
    json.field("dtype_after", row.after.dtype_name());
  } else {
    json.field("dtype", shown_side(row).dtype_name());
  }
  if (changes_shape(row)) {
    shape_field(json, "shape_before", row.before.shape);
    shape_field(json, "shape_after", row.after.shape);
  } else {
    shape_field(json, "shape", shown_side(row).shape);
  }
  if (row.measured) drift_field(json, row);
  if (row.measured || counts_as_differing(row.state)) bound_field(json, *row.bound);
  if (!row.why.empty()) json.field("why", row.why);
  if (!row.explanations.empty()) explanations_field(json, row.explanations);
}

}  // namespace ferry::report
