#include "src/cli/validate_archive_rows.h"

#include <cmath>
#include <limits>

namespace ferry::cli {
namespace {

using policy::CaseStatus;

CaseStatus status_of(std::string_view name) {
  for (const CaseStatus status :
       {CaseStatus::passed, CaseStatus::failed, CaseStatus::error, CaseStatus::skipped})
    if (policy::status_name(status) == name) return status;
  throw Error(Code::bad_hdf5, "there is no status " + quote(name));
}

ArchiveField<SavedCase> status_field() {
  ArchiveField<SavedCase> field{"status"};
  field.text = [](const SavedCase& row) { return std::string(policy::status_name(row.one.status)); };
  field.put_text = [](SavedCase& row, std::string_view name) { row.one.status = status_of(name); };
  return field;
}

// Of errors too, whose message is kept whole: what could not be done then was not done.
ArchiveField<SavedCase> code_field() {
  ArchiveField<SavedCase> field{"code"};
  field.text = [](const SavedCase& row) { return code_name(row.one.code); };
  field.put_text = [](SavedCase& row, std::string_view name) {
    const CodeInfo* const found = find_code(name);
    if (found == nullptr) throw Error(Code::bad_hdf5, "there is no code " + quote(name));
    row.one.code = found->code;
    if (row.one.status == CaseStatus::error) row.one.error = Error(found->code, row.one.message);
  };
  return field;
}

// --- Forward passes

ForwardOutcome outcome_of(std::string_view name) {
  for (const ForwardOutcome outcome :
       {ForwardOutcome::pass, ForwardOutcome::warn, ForwardOutcome::fail, ForwardOutcome::not_judged})
    if (outcome_name(outcome) == name) return outcome;
  throw Error(Code::bad_hdf5, "there is no outcome " + quote(name));
}

ArchiveField<SavedOutput> outcome_field() {
  ArchiveField<SavedOutput> field{"outcome"};
  field.text = [](const SavedOutput& row) { return std::string(outcome_name(row.row.outcome)); };
  field.put_text = [](SavedOutput& row, std::string_view name) { row.row.outcome = outcome_of(name); };
  return field;
}

// A yardstick is two columns, both NaN where nothing was measured; the limit is a matter of judging.
void add_yardstick(std::string_view distance, std::string_view unit,
                   std::optional<Yardstick> ForwardRow::*which,
                   std::vector<ArchiveField<SavedOutput>>& fields) {
  const auto add = [&](std::string_view name, double Yardstick::*part) {
    ArchiveField<SavedOutput> field{name};
    field.real = [=](const SavedOutput& row) {
      const std::optional<Yardstick>& one = row.row.*which;
      return one ? (*one).*part : std::numeric_limits<double>::quiet_NaN();
    };
    field.put_real = [=](SavedOutput& row, double value) {
      std::optional<Yardstick>& one = row.row.*which;
      if (std::isnan(value)) return;
      if (!one) one.emplace();
      (*one).*part = value;
    };
    fields.push_back(std::move(field));
  };
  add(distance, &Yardstick::distance);
  add(unit, &Yardstick::unit);
}

// Of the first module that differs; a drift without one has no columns of it.
ArchiveField<SavedDrift> first_field(std::string_view name, std::string& (*get)(FirstDivergence&)) {
  ArchiveField<SavedDrift> field{name};
  field.text = [get](const SavedDrift& row) {
    if (!row.drift.verdict.first_module) return std::string();
    FirstDivergence first = *row.drift.verdict.first_module;
    return get(first);
  };
  field.put_text = [get](SavedDrift& row, std::string_view text) {
    if (row.drift.verdict.first_module) get(*row.drift.verdict.first_module) = text;
  };
  return field;
}

ArchiveField<SavedDrift> has_first_field() {
  ArchiveField<SavedDrift> field{"diverges"};
  field.count = [](const SavedDrift& row) {
    return static_cast<std::uint64_t>(row.drift.verdict.first_module.has_value());
  };
  field.put_count = [](SavedDrift& row, std::uint64_t has) {
    if (has != 0) row.drift.verdict.first_module.emplace();
  };
  return field;
}

}  // namespace

std::vector<ArchiveField<SavedSuite>> suite_fields() {
  using Row = SavedSuite;
  return {
      text_field<Row>(
          "name", [](Row & row) -> auto& { return row.name; }),
      text_field<Row>(
          "before", [](Row & row) -> auto& { return row.before; }),
      text_field<Row>(
          "after", [](Row & row) -> auto& { return row.after; }),
      count_field<Row>(
          "file", [](Row & row) -> auto& { return row.measured; }),
  };
}

std::vector<ArchiveField<SavedCase>> case_fields() {
  using Row = SavedCase;
  return {
      count_field<Row>(
          "suite", [](Row & row) -> auto& { return row.suite; }),
      text_field<Row>(
          "name", [](Row & row) -> auto& { return row.one.name; }),
      text_field<Row>(
          "message", [](Row & row) -> auto& { return row.one.message; }),
      status_field(),
      code_field(),
      count_field<Row>(
          "details_left_out", [](Row & row) -> auto& { return row.one.details_left_out; }),
  };
}

std::vector<ArchiveField<SavedDetail>> detail_fields() {
  using Row = SavedDetail;
  return {
      count_field<Row>(
          "case", [](Row & row) -> auto& { return row.of; }),
      count_field<Row>(
          "is_cause", [](Row & row) -> auto& { return row.is_cause; }),
      text_field<Row>(
          "subject", [](Row & row) -> auto& { return row.subject; }),
      text_field<Row>(
          "what", [](Row & row) -> auto& { return row.what; }),
  };
}

std::vector<ArchiveField<SavedDrift>> drift_fields() {
  using Row = SavedDrift;
  return {
      count_field<Row>(
          "suite", [](Row & row) -> auto& { return row.suite; }),
      text_field<Row>(
          "device", [](Row & row) -> auto& { return row.drift.device; }),
      text_field<Row>(
          "semantic_why", [](Row & row) -> auto& { return row.drift.verdict.semantic_why; }),
      has_first_field(),
      first_field("module", [](FirstDivergence& first) -> std::string& { return first.name.module; }),
      first_field("cls", [](FirstDivergence& first) -> std::string& { return first.name.cls; }),
      first_field("enclosing", [](FirstDivergence& first) -> std::string& { return first.enclosing; }),
      first_field("last_agreeing",
                  [](FirstDivergence& first) -> std::string& { return first.last_agreeing; }),
  };
}

std::vector<ArchiveField<SavedOutput>> output_fields() {
  using Row = SavedOutput;
  std::vector<ArchiveField<Row>> fields = {
      count_field<Row>(
          "drift", [](Row & row) -> auto& { return row.drift; }),
      text_field<Row>(
          "run", [](Row & row) -> auto& { return row.row.run; }),
      text_field<Row>(
          "input", [](Row & row) -> auto& { return row.row.input; }),
      text_field<Row>(
          "output", [](Row & row) -> auto& { return row.row.name.output; }),
      outcome_field(),
      text_field<Row>(
          "why", [](Row & row) -> auto& { return row.row.why; }),
      count_field<Row>(
          "unstable", [](Row & row) -> auto& { return row.row.unstable; }),
  };
  add_yardstick("semantic", "semantic_unit", &ForwardRow::semantic, fields);
  add_yardstick("rounding", "rounding_unit", &ForwardRow::rounding, fields);
  add_yardstick("rounding_inf", "rounding_inf_unit", &ForwardRow::rounding_inf, fields);
  add_yardstick("before_error", "before_error_unit", &ForwardRow::before_error, fields);
  add_yardstick("after_error", "after_error_unit", &ForwardRow::after_error, fields);
  add_yardstick("reduced", "reduced_unit", &ForwardRow::reduced, fields);
  add_yardstick("reduced_inf", "reduced_inf_unit", &ForwardRow::reduced_inf, fields);
  return fields;
}

std::vector<ArchiveField<SavedCause>> cause_fields() {
  using Row = SavedCause;
  return {
      count_field<Row>(
          "drift", [](Row & row) -> auto& { return row.drift; }),
      text_field<Row>(
          "id", [](Row & row) -> auto& { return row.cause.id; }),
      text_field<Row>(
          "title", [](Row & row) -> auto& { return row.cause.title; }),
      text_field<Row>(
          "cure", [](Row & row) -> auto& { return row.cause.cure; }),
  };
}

}  // namespace ferry::cli
