// Strips of cells: a cell a tensor, a strip a band of layers, the colour by the magnitude of the drift.
#include "src/core/text.h"
#include "src/report/difference_page.h"
#include "src/report/difference_words.h"

namespace ferry::report {
namespace {

std::string cell_class(const Mark& mark) {
  const MarkKind kind = kind_of(*mark.row);
  if (!has_distance(kind)) return std::string(kind_id(kind));
  return "c" + std::to_string(shade(distance(*mark.row)));
}

std::string cell(const FilePage& page, const Mark& mark) {
  const bool linked = is_linked(page, mark);
  std::string about = " class=\"" + cell_class(mark) + "\"";
  // What was not compared has no place in the plots.
  if (!linked || kind_of(*mark.row) == MarkKind::not_compared) about += " title=\"" + mark_title(mark) + "\"";
  if (!linked) return "<i" + about + "></i>";
  return "<a" + about + " tabindex=\"-1\" href=\"#" + anchor_of(page, *mark.row) + "\"></a>";
}

std::string scale() {
  std::string text = "<p class=\"legend heat\"><span><i class=\"equal\"></i>equal</span> <span>10⁻⁸";
  for (std::size_t i = 1; i <= kShades; ++i) text += "<i class=\"c" + std::to_string(i) + "\"></i>";
  return text + "0.1 and more</span> <span><i class=\"incomparable\"></i>no distance</span></p>\n";
}

}  // namespace

std::string heat_strips(const FilePage& page) {
  std::string text =
      "<div class=\"strips\" role=\"img\" aria-label=\"Relative Frobenius distance of every tensor, "
      "by layer; the table has the numbers\">\n";
  std::size_t at = 0;
  for (const Band& band : page.marks.bands) {
    std::string cells;
    for (; at < page.marks.marks.size() && page.marks.marks[at].first < band.first + band.count; ++at)
      cells += cell(page, page.marks.marks[at]);
    if (cells.empty()) continue;
    text += "<div class=\"strip\"><span title=\"" + html_escaped(band.name) + "\">" +
            html_escaped(band.name) + "</span><div class=\"heat\">" + cells + "</div></div>\n";
  }
  return text + "</div>\n" + scale();
}

}  // namespace ferry::report
