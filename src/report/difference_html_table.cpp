// The table of tensors on the page: the worst first, what is equal behind a switch.
#include <array>
#include <cmath>
#include <cstdio>

#include "src/core/text.h"
#include "src/report/difference_numbers.h"
#include "src/report/difference_page.h"
#include "src/report/difference_words.h"

namespace ferry::report {
namespace {

struct Column {
  std::string_view title, hint;
};
// The order of the numbers in data-v of each row is that of the columns.
constexpr std::array<Column, 9> kColumns = {{
    {"tensor", "in model order"},
    {"state", ""},
    {"differing", "elements whose bits differ"},
    {"max |Δ|", "largest |after − before|"},
    {"max rel", "largest |after − before| / |before|"},
    {"max ULP", "largest distance in units in the last place"},
    {"rel. Frob.", "‖after − before‖ / ‖before‖"},
    {"cosine", "of the angle between before and after"},
    {"SNR dB", "10 log₁₀(Σ before² / Σ (after − before)²)"},
}};

std::string sortable(double value) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.6g", value);
  return std::isnan(value) ? "" : text.data();
}

// What a row is sorted by; numbers that there are not stay empty and go last.
std::string sort_keys(const FilePage& page, const TensorRow& row) {
  std::string keys =
      std::to_string(place_of(page, row)) + "|" + std::to_string(static_cast<int>(kind_of(row)));
  if (!row.measured) return keys;
  const Drift& drift = row.drift;
  const double part = drift.elements == 0
                          ? 0
                          : static_cast<double>(drift.bits_differing) / static_cast<double>(drift.elements);
  const double ulps = static_cast<double>(drift.max_ulp.whole) + drift.max_ulp.fraction;
  for (const double value :
       {part, drift.max_abs, drift.max_rel, ulps, distance(row), drift.cosine(), drift.snr_db()})
    keys += "|" + sortable(value);
  return keys;
}

std::string name_cell(const TensorRow& row) {
  std::string text = "<th scope=\"row\">" + name_tag(shown_side(row).path);
  if (is_renamed(row)) text += " → " + name_tag(row.after.path);
  text += "<small>" + html_escaped(dtype_words(row)) + " " + html_escaped(shape_words(row));
  if (!row.matched_by.empty()) text += ", matched by " + html_escaped(row.matched_by);
  text += "</small>";
  for (const std::string& note : notes(row)) text += "<p>" + html_escaped(note) + "</p>";
  std::string detail = html_escaped(worst_words(row));
  if (row.spectral) detail += (detail.empty() ? "" : "; ") + ("σ₁(Δ)/σ₁ " + three_digits(*row.spectral));
  if (!detail.empty()) text += "<small>" + detail + "</small>";
  return text + "</th>";
}

std::string measured_cells(const TensorRow& row) {
  const Drift& drift = row.drift;
  std::string text = "<td>" + share(drift.bits_differing, drift.elements) + "<small>" +
                     grouped(drift.bits_differing) + " / " + grouped(drift.elements) + "</small></td>";
  for (const std::string& number :
       {three_digits(drift.max_abs), three_digits(drift.max_rel), ulps_words(drift.max_ulp)})
    text += "<td>" + number + "</td>";
  return text + "<td><i class=\"c" + std::to_string(shade(distance(row))) + "\"></i>" +
         three_digits(distance(row)) + "</td><td>" + cosine_words(drift.cosine()) + "</td><td>" +
         three_digits(drift.snr_db()) + "</td>";
}

std::string table_row(const FilePage& page, const TensorRow& row) {
  const std::string kind(kind_id(kind_of(row)));
  return "<tr id=\"" + anchor_of(page, row) + "\" class=\"" + kind + "\" data-v=\"" + sort_keys(page, row) +
         "\">" + name_cell(row) + "<td><b>" + std::string(state_name(row.state)) + "</b></td>" +
         (row.measured ? measured_cells(row) : "<td colspan=\"7\"></td>") + "</tr>\n";
}

std::string head() {
  std::string text = "<thead><tr>";
  for (const Column& column : kColumns)
    text += "<th scope=\"col\"" + (column.hint.empty() ? "" : " title=\"" + std::string(column.hint) + "\"") +
            ">" + std::string(column.title) + "</th>";
  return text + "</tr></thead>\n";
}

// What is equal is shown at once where there is nothing else.
std::string tools(std::size_t equal, bool only_equal) {
  std::string text =
      "<div class=\"tools\"><label>Find <input type=\"search\" class=\"find\" placeholder=\"part of a name\" "
      "autocomplete=\"off\"></label>\n<label>Sort by <select class=\"sort\"><option value=\"\">worst "
      "first</option>";
  for (std::size_t i = 0; i < kColumns.size(); ++i)
    text += "<option value=\"" + std::to_string(i) + "\">" +
            (i == 0 ? "model order" : std::string(kColumns[i].title)) + "</option>";
  text += "</select></label>\n";
  if (equal > 0)
    text += "<label><input type=\"checkbox\" class=\"show-equal\"" +
            std::string(only_equal ? " checked" : "") + "> show " + grouped(equal) + " equal</label>\n";
  return text + "<output class=\"found\" aria-live=\"polite\"></output></div>\n";
}

}  // namespace

std::string tensor_table(const FilePage& page) {
  std::size_t equal = 0;
  for (const TensorRow* row : page.rows) equal += row->state == DiffState::equal;
  std::string text = tools(equal, equal == page.rows.size()) +
                     "<div class=\"table\"><table>\n<caption class=\"unseen\">Tensors and how far "
                     "they drifted, the worst first</caption>\n" +
                     head() + "<tbody>\n";
  for (const TensorRow* row : page.rows) text += table_row(page, *row);
  text += "</tbody></table></div>\n";
  if (page.rows_left_out > 0)
    text += "<p class=\"small\">The table has the worst " + grouped(page.rows.size()) + " of " +
            grouped(page.rows.size() + page.rows_left_out) +
            " tensors; the JSON report has all of them.</p>\n";
  return text;
}

}  // namespace ferry::report
