// Parts of the page: each gives HTML that needs nothing else than the style and the script beside it.
//
// Pictures are SVG without a view box: places are percentages across and pixels down, so that they fill any
// width and their text keeps its size.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "src/report/difference.h"
#include "src/report/difference_marks.h"
#include "src/report/html.h"

namespace ferry::report {

extern const std::string_view kPageStyle;
extern const std::string_view kPageScript;

// A name in a fixed-width face that may be broken behind its dots.
std::string name_tag(std::string_view name);

// One file as the page shows it.
struct FilePage {
  const FileDiff& file;
  std::string id;                      // begins the ids of its elements: "f0"
  std::vector<const TensorRow*> rows;  // in the table, in its order
  std::size_t rows_left_out = 0;
  std::vector<bool> in_table;  // by place in file.tensors
  Marks marks;
};

// Rows worst first, then what is equal, in all at most `rows_most`.
FilePage page_of(const FileDiff& file, std::string id, std::size_t rows_most);
std::size_t place_of(const FilePage& page, const TensorRow& row);   // in file.tensors
std::string anchor_of(const FilePage& page, const TensorRow& row);  // id of its row of the table: "f0t17"

// A mark as a sentence: "layer1.0.conv1.weight: relative Frobenius 1.2e-05, …"; escaped.
std::string mark_title(const Mark& mark);

// Whether a mark leads to its row of the table.  Names are long, and a page has three pictures of one tensor:
// marks that lead to one row have their title in the first picture only, from where the script hands it on.
bool is_linked(const FilePage& page, const Mark& mark);

std::string page_banner(const DiffReport& report);
std::string drift_plot(const FilePage& page);     // relative Frobenius distance and ULP, layer by layer
std::string heat_strips(const FilePage& page);    // a cell a tensor, a strip a band
std::string ulp_histogram(const FilePage& page);  // empty when nothing was measured
std::string tensor_table(const FilePage& page);
std::string symbols();  // what marks refer to; once a page

}  // namespace ferry::report
