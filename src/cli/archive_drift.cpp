// What was measured of a pair of tensors, as columns of an archive.
#include <cfloat>
#include <cmath>
#include <limits>

#include "src/cli/archive_rows.h"

namespace ferry::cli {
namespace {

using Field = ArchiveField<SavedTensor>;

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

// A number of the drift; NaN where nothing was measured.
template <typename Get>
Field measured_field(std::string_view name, Get get) {
  Field field{name};
  field.real = [get](const SavedTensor& row) {
    return row.row.measured ? static_cast<double>(get(const_cast<SavedTensor&>(row).row.drift)) : kUnknown;
  };
  field.put_real = [get](SavedTensor& row, double value) {
    if (row.row.measured) get(row.row.drift) = value;
  };
  return field;
}

// A number that people read and that follows from others.
Field derived_field(std::string_view name, double (*get)(const Drift&)) {
  Field field{name};
  field.real = [get](const SavedTensor& row) { return row.row.measured ? get(row.row.drift) : kUnknown; };
  return field;
}

// A sum in doubles: (high + low) · 2^exponent.  The exponent is 0 where doubles of the sum's size are exact;
// sums of squares may be larger than any double, and smaller.  64 bits of significand come back as they were.
struct Split {
  double high = 0, low = 0;
  int exponent = 0;
};

Split split(long double sum) {
  constexpr int kExact = DBL_MAX_EXP - 64;  // `low` is a normal number, and no sum of both overflows
  if (sum == 0 || !std::isfinite(sum)) return {static_cast<double>(sum), 0, 0};
  int exponent = 0;
  std::frexp(sum, &exponent);
  if (exponent < kExact && exponent > -kExact) exponent = 0;
  const long double scaled = std::ldexp(sum, -exponent);
  const auto high = static_cast<double>(scaled);
  return {high, static_cast<double>(scaled - static_cast<long double>(high)), exponent};
}

// Three columns, read in their order: `name`, name_low, name_exponent.
void add_sum(std::vector<Field>& fields, const std::string_view (&names)[3], long double Drift::*sum) {
  const auto add = [&](std::string_view name, auto part, auto put) {
    Field field{name};
    field.real = [sum, part](const SavedTensor& row) {
      return row.row.measured ? static_cast<double>(split(row.row.drift.*sum).*part) : kUnknown;
    };
    field.put_real = [sum, put](SavedTensor& row, double value) {
      if (row.row.measured) put(row.row.drift.*sum, value);
    };
    fields.push_back(std::move(field));
  };
  add(names[0], &Split::high, [](long double& whole, double high) { whole = high; });
  add(names[1], &Split::low, [](long double& whole, double low) { whole += low; });
  add(names[2], &Split::exponent, [](long double& whole, double exponent) {
    if (!(std::abs(exponent) <= LDBL_MAX_EXP - LDBL_MIN_EXP))
      throw Error(Code::bad_hdf5, "a sum has the exponent " + real_text(exponent));
    whole = std::ldexp(whole, static_cast<int>(exponent));
  });
}

void add_sums(std::vector<Field>& fields) {
  add_sum(fields, {"difference_squares", "difference_squares_low", "difference_squares_exponent"},
          &Drift::difference_squares);
  add_sum(fields, {"before_squares", "before_squares_low", "before_squares_exponent"},
          &Drift::before_squares);
  add_sum(fields, {"after_squares", "after_squares_low", "after_squares_exponent"}, &Drift::after_squares);
  add_sum(fields, {"products", "products_low", "products_exponent"}, &Drift::products);
  add_sum(fields, {"difference_sum", "difference_sum_low", "difference_sum_exponent"},
          &Drift::difference_sum);
  fields.push_back(derived_field("rms", [](const Drift& drift) { return drift.rms(); }));
  fields.push_back(
      derived_field("relative_frobenius", [](const Drift& drift) { return drift.relative_frobenius(); }));
  fields.push_back(derived_field("cosine", [](const Drift& drift) { return drift.cosine(); }));
  fields.push_back(derived_field("snr_db", [](const Drift& drift) { return drift.snr_db(); }));
}

void add_counts(std::vector<Field>& fields) {
  const auto count = [&](std::string_view name, std::uint64_t Drift::*member) {
    fields.push_back(count_field<SavedTensor>(
        name, [member](SavedTensor& row) -> std::uint64_t& { return row.row.drift.*member; }));
  };
  count("elements", &Drift::elements);
  count("bits_differing", &Drift::bits_differing);
  count("bits_flipped", &Drift::bits_flipped);
  count("differing", &Drift::differing);
  count("zero_signs", &Drift::zero_signs);
  count("nans_before", &Drift::nans_before);
  count("nans_after", &Drift::nans_after);
  count("infinities_before", &Drift::infinities_before);
  count("infinities_after", &Drift::infinities_after);
  count("nans_both", &Drift::nans_both);
  count("nan_payloads", &Drift::nan_payloads);
  count("nonfinite_mismatches", &Drift::nonfinite_mismatches);
  count("finite", &Drift::finite);
}

// The worst pair, where there is one: `has_worst` is 1.
void add_worst(std::vector<Field>& fields) {
  Field has{"has_worst"};
  has.count = [](const SavedTensor& row) { return row.row.drift.worst ? 1u : 0u; };
  has.put_count = [](SavedTensor& row, std::uint64_t count) {
    if (count != 0) row.row.drift.worst.emplace();
  };
  fields.push_back(std::move(has));
  const auto count = [&](std::string_view name, auto get) {
    Field field{name};
    field.count = [get](const SavedTensor& row) {
      const std::optional<Worst>& worst = row.row.drift.worst;
      return worst ? get(const_cast<Worst&>(*worst)) : 0;
    };
    field.put_count = [get](SavedTensor& row, std::uint64_t value) {
      if (row.row.drift.worst) get(*row.row.drift.worst) = value;
    };
    fields.push_back(std::move(field));
  };
  const auto number = [&](std::string_view name, Number Worst::*side, double Number::*part) {
    Field field{name};
    field.real = [=](const SavedTensor& row) {
      return row.row.drift.worst ? (*row.row.drift.worst).*side.*part : kUnknown;
    };
    field.put_real = [=](SavedTensor& row, double value) {
      if (row.row.drift.worst) (*row.row.drift.worst).*side.*part = value;
    };
    fields.push_back(std::move(field));
  };
  count(
      "worst_element", [](Worst & worst) -> auto& { return worst.element; });
  number("worst_before", &Worst::before, &Number::real);
  number("worst_before_imaginary", &Worst::before, &Number::imaginary);
  count(
      "worst_before_bits", [](Worst & worst) -> auto& { return worst.before.bits; });
  number("worst_after", &Worst::after, &Number::real);
  number("worst_after_imaginary", &Worst::after, &Number::imaginary);
  count(
      "worst_after_bits", [](Worst & worst) -> auto& { return worst.after.bits; });
}

}  // namespace

std::vector<ArchiveField<SavedTensor>> measured_fields() {
  std::vector<Field> fields;
  add_counts(fields);
  fields.push_back(measured_field(
      "max_abs", [](Drift & drift) -> auto& { return drift.max_abs; }));
  fields.push_back(measured_field(
      "max_rel", [](Drift & drift) -> auto& { return drift.max_rel; }));
  fields.push_back(count_field<SavedTensor>(
      "max_ulp_whole", [](SavedTensor & row) -> auto& { return row.row.drift.max_ulp.whole; }));
  fields.push_back(measured_field(
      "max_ulp_fraction", [](Drift & drift) -> auto& { return drift.max_ulp.fraction; }));
  add_sums(fields);
  add_worst(fields);
  return fields;
}

}  // namespace ferry::cli
