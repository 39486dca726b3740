#include "src/cli/archive_rows.h"

#include <charconv>
#include <cmath>
#include <limits>

#include "src/core/dtype.h"

namespace ferry::cli {
namespace {

using report::DiffState;

DiffState state_of(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(DiffState::not_compared); ++i)
    if (report::state_name(static_cast<DiffState>(i)) == name) return static_cast<DiffState>(i);
  throw Error(Code::bad_hdf5, "there is no state " + quote(name));
}

template <typename Row>
ArchiveField<Row> state_field() {
  ArchiveField<Row> field{"state"};
  field.text = [](const Row& row) { return std::string(report::state_name(row.row.state)); };
  field.put_text = [](Row& row, std::string_view name) { row.row.state = state_of(name); };
  return field;
}

// "float32"; nothing for a side that is missing.
template <typename Get>
ArchiveField<SavedTensor> dtype_field(std::string_view name, Get get) {
  ArchiveField<SavedTensor> field{name};
  field.text = [get](const SavedTensor& row) {
    return std::string(get(const_cast<SavedTensor&>(row)).dtype_name());
  };
  field.put_text = [get](SavedTensor& row, std::string_view text) {
    if (text.empty()) return;
    get(row).dtype = dtype_by_name(text);
    if (!get(row).dtype) throw Error(Code::bad_hdf5, "there is no dtype " + quote(text));
  };
  return field;
}

// "64,3,7,7"; nothing for a single number, and a side that is missing has no dtype.
template <typename Get>
ArchiveField<SavedTensor> shape_field(std::string_view name, Get get) {
  ArchiveField<SavedTensor> field{name};
  field.text = [get](const SavedTensor& row) {
    std::string text;
    for (const std::int64_t size : get(const_cast<SavedTensor&>(row)).shape)
      text += (text.empty() ? "" : ",") + std::to_string(size);
    return text;
  };
  field.put_text = [get](SavedTensor& row, std::string_view text) {
    std::vector<std::int64_t> shape;
    for (const char* at = text.data(); at < text.data() + text.size();) {
      std::int64_t size = 0;
      const auto [end, problem] = std::from_chars(at, text.data() + text.size(), size);
      if (problem != std::errc()) throw Error(Code::bad_hdf5, "a shape is " + quote(text));
      shape.push_back(size);
      at = end + 1;
    }
    get(row).shape = SharedArray<std::int64_t>(shape);
  };
  return field;
}

// A number that people read and that follows from others.
ArchiveField<SavedTensor> derived_field(std::string_view name, double (*get)(const Drift&)) {
  ArchiveField<SavedTensor> field{name};
  field.real = [get](const SavedTensor& row) {
    return row.row.measured ? get(row.row.drift) : std::numeric_limits<double>::quiet_NaN();
  };
  return field;
}

void add_drift(std::vector<ArchiveField<SavedTensor>>& fields) {
  const auto count = [&](std::string_view name, std::uint64_t Drift::*member) {
    fields.push_back(count_field<SavedTensor>(
        name, [member](SavedTensor& row) -> std::uint64_t& { return row.row.drift.*member; }));
  };
  const auto real = [&](std::string_view name, auto Drift::*member) {
    fields.push_back(real_field<SavedTensor>(
        name, [member](SavedTensor & row) -> auto& { return row.row.drift.*member; }));
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
  real("max_abs", &Drift::max_abs);
  real("max_rel", &Drift::max_rel);
  fields.push_back(count_field<SavedTensor>(
      "max_ulp_whole", [](SavedTensor & row) -> auto& { return row.row.drift.max_ulp.whole; }));
  fields.push_back(real_field<SavedTensor>(
      "max_ulp_fraction", [](SavedTensor & row) -> auto& { return row.row.drift.max_ulp.fraction; }));
  real("difference_squares", &Drift::difference_squares);
  real("before_squares", &Drift::before_squares);
  real("after_squares", &Drift::after_squares);
  real("products", &Drift::products);
  real("difference_sum", &Drift::difference_sum);
  fields.push_back(derived_field("rms", [](const Drift& drift) { return drift.rms(); }));
  fields.push_back(
      derived_field("relative_frobenius", [](const Drift& drift) { return drift.relative_frobenius(); }));
  fields.push_back(derived_field("cosine", [](const Drift& drift) { return drift.cosine(); }));
  fields.push_back(derived_field("snr_db", [](const Drift& drift) { return drift.snr_db(); }));
}

// The worst pair, where there is one: `has_worst` is 1.
void add_worst(std::vector<ArchiveField<SavedTensor>>& fields) {
  ArchiveField<SavedTensor> has{"has_worst"};
  has.count = [](const SavedTensor& row) { return row.row.drift.worst ? 1u : 0u; };
  has.put_count = [](SavedTensor& row, std::uint64_t count) {
    if (count != 0) row.row.drift.worst.emplace();
  };
  fields.push_back(std::move(has));
  ArchiveField<SavedTensor> element{"worst_element"};
  element.count = [](const SavedTensor& row) {
    return row.row.drift.worst ? row.row.drift.worst->element : 0;
  };
  element.put_count = [](SavedTensor& row, std::uint64_t count) {
    if (row.row.drift.worst) row.row.drift.worst->element = count;
  };
  fields.push_back(std::move(element));
  const auto number = [&](std::string_view name, Number Worst::*side, double Number::*part) {
    ArchiveField<SavedTensor> field{name};
    field.real = [=](const SavedTensor& row) {
      return row.row.drift.worst ? (*row.row.drift.worst).*side.*part : 0;
    };
    field.put_real = [=](SavedTensor& row, double value) {
      if (row.row.drift.worst) (*row.row.drift.worst).*side.*part = value;
    };
    fields.push_back(std::move(field));
  };
  number("worst_before", &Worst::before, &Number::real);
  number("worst_before_imaginary", &Worst::before, &Number::imaginary);
  number("worst_after", &Worst::after, &Number::real);
  number("worst_after_imaginary", &Worst::after, &Number::imaginary);
}

// "cause|text" lines.
ArchiveField<SavedTensor> explanations_field() {
  ArchiveField<SavedTensor> field{"explanations"};
  field.text = [](const SavedTensor& row) {
    std::string text;
    for (const Explanation& one : row.row.explanations)
      text += (text.empty() ? "" : "\n") + std::string(cause_name(one.cause)) + "|" + one.text;
    return text;
  };
  field.put_text = [](SavedTensor& row, std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      const std::string_view line = text.substr(at, end - at), name = line.substr(0, line.find('|'));
      at = end + 1;
      for (int i = 0; i <= static_cast<int>(Cause::copied); ++i)
        if (cause_name(static_cast<Cause>(i)) == name && name.size() < line.size())
          row.row.explanations.push_back({static_cast<Cause>(i), std::string(line.substr(name.size() + 1))});
    }
  };
  return field;
}

ArchiveField<SavedTensor> spectral_field() {
  ArchiveField<SavedTensor> field{"spectral_ratio"};
  field.real = [](const SavedTensor& row) {
    return row.row.spectral.value_or(std::numeric_limits<double>::quiet_NaN());
  };
  field.put_real = [](SavedTensor& row, double value) {
    if (!std::isnan(value)) row.row.spectral = value;
  };
  return field;
}

}  // namespace

std::vector<ArchiveField<SavedFile>> file_fields() {
  using Row = SavedFile;
  return {
      text_field<Row>(
          "name", [](Row & row) -> auto& { return row.file.name; }),
      text_field<Row>(
          "before", [](Row & row) -> auto& { return row.file.before.path; }),
      text_field<Row>(
          "before_format", [](Row & row) -> auto& { return row.file.before.format; }),
      count_field<Row>(
          "before_bytes", [](Row & row) -> auto& { return row.file.before.bytes; }),
      count_field<Row>(
          "before_tensors", [](Row & row) -> auto& { return row.file.before.tensors; }),
      count_field<Row>(
          "before_elements", [](Row & row) -> auto& { return row.file.before.elements; }),
      text_field<Row>(
          "after", [](Row & row) -> auto& { return row.file.after.path; }),
      text_field<Row>(
          "after_format", [](Row & row) -> auto& { return row.file.after.format; }),
      count_field<Row>(
          "after_bytes", [](Row & row) -> auto& { return row.file.after.bytes; }),
      count_field<Row>(
          "after_tensors", [](Row & row) -> auto& { return row.file.after.tensors; }),
      count_field<Row>(
          "after_elements", [](Row & row) -> auto& { return row.file.after.elements; }),
      count_field<Row>(
          "values_compared", [](Row & row) -> auto& { return row.file.values_compared; }),
  };
}

std::vector<ArchiveField<SavedTensor>> tensor_fields() {
  using Row = SavedTensor;
  std::vector<ArchiveField<Row>> fields = {
      text_field<Row>(
          "name", [](Row & row) -> auto& { return row.row.before.path; }),
      text_field<Row>(
          "after_name", [](Row & row) -> auto& { return row.row.after.path; }),
      dtype_field(
          "dtype_before", [](Row & row) -> auto& { return row.row.before; }),
      dtype_field(
          "dtype_after", [](Row & row) -> auto& { return row.row.after; }),
      shape_field(
          "shape_before", [](Row & row) -> auto& { return row.row.before; }),
      shape_field(
          "shape_after", [](Row & row) -> auto& { return row.row.after; }),
      text_field<Row>(
          "matched_by", [](Row & row) -> auto& { return row.row.matched_by; }),
      state_field<Row>(),
      text_field<Row>(
          "why", [](Row & row) -> auto& { return row.row.why; }),
      count_field<Row>(
          "file", [](Row & row) -> auto& { return row.file; }),
      count_field<Row>(
          "measured", [](Row & row) -> auto& { return row.row.measured; }),
  };
  add_drift(fields);
  add_worst(fields);
  fields.push_back(spectral_field());
  fields.push_back(explanations_field());
  fields.push_back(count_field<Row>(
      "hull_begin", [](Row & row) -> auto& { return row.hull_begin; }));
  fields.push_back(count_field<Row>(
      "hull_count", [](Row & row) -> auto& { return row.hull_count; }));
  return fields;
}

std::vector<ArchiveField<SavedValue>> value_fields() {
  using Row = SavedValue;
  return {
      text_field<Row>(
          "path", [](Row & row) -> auto& { return row.row.path; }),
      state_field<Row>(),
      text_field<Row>(
          "before", [](Row & row) -> auto& { return row.row.before; }),
      text_field<Row>(
          "after", [](Row & row) -> auto& { return row.row.after; }),
      count_field<Row>(
          "file", [](Row & row) -> auto& { return row.file; }),
  };
}

std::vector<ArchiveField<SavedTie>> tie_fields() {
  using Row = SavedTie;
  return {
      text_field<Row>(
          "path", [](Row & row) -> auto& { return row.path; }),
      text_field<Row>(
          "what", [](Row & row) -> auto& { return row.what; }),
      count_field<Row>(
          "tied_before", [](Row & row) -> auto& { return row.before; }),
      count_field<Row>(
          "tie", [](Row & row) -> auto& { return row.tie; }),
      count_field<Row>(
          "file", [](Row & row) -> auto& { return row.file; }),
  };
}

std::vector<ArchiveField<SavedRemark>> remark_fields() {
  using Row = SavedRemark;
  ArchiveField<Row> code{"code"};
  code.text = [](const Row& row) { return code_name(row.change.code); };
  code.put_text = [](Row& row, std::string_view name) {
    const CodeInfo* const found = find_code(name);
    if (found == nullptr) throw Error(Code::bad_hdf5, "there is no code " + quote(name));
    row.change.code = found->code;
  };
  return {
      std::move(code),
      text_field<Row>(
          "path", [](Row & row) -> auto& { return row.change.path; }),
      text_field<Row>(
          "what", [](Row & row) -> auto& { return row.change.what; }),
      count_field<Row>(
          "listed", [](Row & row) -> auto& { return row.listed; }),
      count_field<Row>(
          "file", [](Row & row) -> auto& { return row.file; }),
  };
}

}  // namespace ferry::cli
