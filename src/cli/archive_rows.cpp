#include "src/cli/archive_rows.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

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

// Lines as one text, and back: a line may hold what ends a line, as the names of tensors may.
std::string join_lines(const std::vector<std::string>& lines) {
  std::string text;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) text += '\n';
    for (const char c : lines[i]) text += c == '\n' ? "\\n" : c == '\\' ? "\\\\" : std::string(1, c);
  }
  return text;
}

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  if (text.empty()) return lines;
  lines.emplace_back();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') {
      lines.emplace_back();
    } else if (text[i] == '\\' && i + 1 < text.size()) {
      ++i;
      lines.back() += text[i] == 'n' ? '\n' : text[i];
    } else {
      lines.back() += text[i];
    }
  }
  return lines;
}

// "cause|text" lines.
ArchiveField<SavedTensor> explanations_field() {
  ArchiveField<SavedTensor> field{"explanations"};
  field.text = [](const SavedTensor& row) {
    std::vector<std::string> lines;
    for (const Explanation& one : row.row.explanations)
      lines.push_back(std::string(cause_name(one.cause)) + "|" + one.text);
    return join_lines(lines);
  };
  field.put_text = [](SavedTensor& row, std::string_view text) {
    for (const std::string& line : split_lines(text)) {
      const std::string name = line.substr(0, line.find('|'));
      for (int i = 0; i <= static_cast<int>(Cause::copied); ++i)
        if (cause_name(static_cast<Cause>(i)) == name && name.size() < line.size())
          row.row.explanations.push_back({static_cast<Cause>(i), line.substr(name.size() + 1)});
    }
  };
  return field;
}

Code code_of(std::string_view name) {
  const CodeInfo* const found = find_code(name);
  if (found == nullptr) throw Error(Code::bad_hdf5, "there is no code " + quote(name));
  return found->code;
}

// Why a pair could not be compared; the code comes first and is empty where it could.
void add_error(std::vector<ArchiveField<SavedFile>>& fields) {
  using Row = SavedFile;
  const auto add = [&](std::string_view name, auto get, auto put) {
    ArchiveField<Row> field{name};
    field.text = [get](const Row& row) {
      return row.file.error ? std::string(get(*row.file.error)) : std::string();
    };
    field.put_text = [put](Row& row, std::string_view text) {
      if (!text.empty()) put(row.file.error, text);
    };
    fields.push_back(std::move(field));
  };
  using Found = std::optional<Error>;
  add(
      "error_code", [](const Error& error) { return code_name(error.code()); },
      [](Found& error, std::string_view text) { error.emplace(code_of(text), "").with_hint(""); });
  add(
      "error", [](const Error& error) { return error.summary(); },
      [](Found& error, std::string_view text) {
        if (error) error.emplace(error->code(), std::string(text)).with_hint("");
      });
  add(
      "error_file", [](const Error& error) { return error.file(); },
      [](Found& error, std::string_view text) {
        if (error) error->of(std::string(text));
      });
  add(
      "error_where", [](const Error& error) { return join_lines(error.where()); },
      [](Found& error, std::string_view text) {
        for (const std::string& place : split_lines(text))
          if (error) error->in(place);
      });
  add(
      "error_hint", [](const Error& error) { return error.hint(); },
      [](Found& error, std::string_view text) {
        if (error) error->with_hint(std::string(text));
      });
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
  std::vector<ArchiveField<Row>> fields = {
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
  add_error(fields);
  return fields;
}

std::vector<ArchiveField<SavedPath>> unpaired_fields() {
  using Row = SavedPath;
  return {
      text_field<Row>(
          "path", [](Row & row) -> auto& { return row.path; }),
      count_field<Row>(
          "before", [](Row & row) -> auto& { return row.before; }),
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
      count_field<Row>(
          "counted", [](Row & row) -> auto& { return row.row.counted; }),
  };
  for (ArchiveField<Row>& field : measured_fields()) fields.push_back(std::move(field));
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
  code.put_text = [](Row& row, std::string_view name) { row.change.code = code_of(name); };
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
