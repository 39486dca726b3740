#include "src/report/difference_table.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "src/core/text.h"
#include "src/report/difference_layout.h"
#include "src/report/difference_numbers.h"
#include "src/report/difference_words.h"

namespace ferry::report {
namespace {

constexpr std::size_t kTableIndent = 2, kGap = 2;
constexpr std::size_t kNotes = 2;  // under a row, unless all are asked for

struct Column {
  std::string_view title;
  int priority;  // the smaller, the longer it stays on a narrow terminal
  bool right;
  std::string (*cell)(const TensorRow& row);
};

std::string differing_cell(const TensorRow& row) {
  return grouped(row.drift.bits_differing) + "/" + grouped(row.drift.elements);
}

constexpr std::array<Column, 9> kColumns = {{
    {"state", 1, false, [](const TensorRow& row) { return std::string(state_name(row.state)); }},
    {"differing", 7, true, differing_cell},
    {"%", 4, true,
     [](const TensorRow& row) {
       std::string text = share(row.drift.bits_differing, row.drift.elements);
       text.pop_back();
       return text;
     }},
    {"max |Δ|", 3, true, [](const TensorRow& row) { return three_digits(row.drift.max_abs); }},
    {"max rel", 6, true, [](const TensorRow& row) { return three_digits(row.drift.max_rel); }},
    {"max ULP", 5, true, [](const TensorRow& row) { return ulps_words(row.drift.max_ulp); }},
    {"rel. Frob.", 2, true,
     [](const TensorRow& row) { return three_digits(row.drift.relative_frobenius()); }},
    {"cosine", 8, true, [](const TensorRow& row) { return cosine_words(row.drift.cosine()); }},
    {"SNR dB", 9, true, [](const TensorRow& row) { return three_digits(row.drift.snr_db()); }},
}};
constexpr std::size_t kState = 0;

std::string_view color_of(DiffState state) {
  if (state == DiffState::within) return "33";
  return counts_as_differing(state) ? "31" : "32";
}

class TensorTable {
 public:
  TensorTable(const std::vector<const TensorRow*>& rows, const DiffTextStyle& style)
      : rows_(rows), style_(style) {
    for (const TensorRow* row : rows_) {
      names_.push_back(escape_for_terminal(shown_side(*row).path));
      name_width_ = std::max(name_width_, display_columns(names_.back()));
      cells_.push_back(cells_of(*row));
    }
    choose_columns();
  }

  std::string write() {
    line(
        "tensor", [](std::size_t column) { return std::string(kColumns[column].title); }, nullptr);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      line(
          names_[i], [&](std::size_t column) { return cells_[i][column]; }, rows_[i]);
      notes_under(*rows_[i]);
    }
    return std::move(out_);
  }

 private:
  using Cells = std::array<std::string, kColumns.size()>;

  static Cells cells_of(const TensorRow& row) {
    Cells cells;
    cells[kState] = kColumns[kState].cell(row);
    if (row.measured)
      for (std::size_t i = kState + 1; i < kColumns.size(); ++i) cells[i] = kColumns[i].cell(row);
    return cells;
  }

  void choose_columns() {
    std::array<std::size_t, kColumns.size()> order{};
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(),
              [](std::size_t a, std::size_t b) { return kColumns[a].priority < kColumns[b].priority; });
    const std::size_t least_name = std::min(name_width_, std::clamp<std::size_t>(style_.width / 3, 14, 40));
    std::size_t taken = kTableIndent;
    for (const std::size_t column : order) {
      std::size_t width = 0;
      for (const Cells& cells : cells_) width = std::max(width, display_columns(cells[column]));
      if (width == 0) continue;
      width = std::max(width, display_columns(kColumns[column].title));
      if (style_.width > 0 && taken + least_name + kGap + width > style_.width) continue;
      widths_[column] = width;
      taken += kGap + width;
    }
    name_width_ = std::max(name_width_, std::string_view("tensor").size());
    if (style_.width > 0)
      name_width_ = std::min(name_width_, style_.width > taken ? style_.width - taken : 1);
  }

  template <typename Cell>
  void line(std::string_view name, Cell cell_of, const TensorRow* row) {
    std::string text = "  " + padded(shortened(name, name_width_), name_width_);
    for (std::size_t i = 0; i < kColumns.size(); ++i) {
      if (widths_[i] == 0) continue;
      std::string cell = padded(cell_of(i), widths_[i], kColumns[i].right);
      if (style_.color && i == kState && row != nullptr)
        cell = "\x1b[" + std::string(color_of(row->state)) + "m" + cell + "\x1b[0m";
      text += "  " + cell;
    }
    while (text.ends_with(' ')) text.pop_back();
    if (style_.color && row == nullptr) text = "\x1b[2m" + text + "\x1b[0m";
    out_ += text + "\n";
  }

  void notes_under(const TensorRow& row) {
    const std::vector<std::string> all = notes(row);
    const std::size_t shown = style_.all ? all.size() : std::min(all.size(), kNotes);
    for (std::size_t i = 0; i < shown; ++i)
      out_ += folded("    ↳ ", escape_for_terminal(all[i]), 6, style_.width);
  }

  const std::vector<const TensorRow*>& rows_;
  const DiffTextStyle& style_;
  std::vector<std::string> names_;
  std::vector<Cells> cells_;
  std::array<std::size_t, kColumns.size()> widths_{};  // 0: left out
  std::size_t name_width_ = 0;
  std::string out_;
};

}  // namespace

std::string difference_table(const std::vector<const TensorRow*>& rows, const DiffTextStyle& style) {
  return TensorTable(rows, style).write();
}

}  // namespace ferry::report
