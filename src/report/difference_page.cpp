#include "src/report/difference_page.h"

#include <algorithm>

#include "src/core/text.h"
#include "src/report/difference_words.h"

namespace ferry::report {

std::string name_tag(std::string_view name) {
  std::string out = "<code>";
  for (const char c : html_escaped(name)) {
    out += c;
    if (c == '.') out += "<wbr>";
  }
  return out + "</code>";
}

std::size_t place_of(const FilePage& page, const TensorRow& row) {
  return static_cast<std::size_t>(&row - page.file.tensors.data());
}

std::string anchor_of(const FilePage& page, const TensorRow& row) {
  return page.id + "t" + std::to_string(place_of(page, row));
}

FilePage page_of(const FileDiff& file, std::string id, std::size_t rows_most) {
  FilePage page{
      file, std::move(id), ranked(file), 0, std::vector<bool>(file.tensors.size()), find_marks(file)};
  for (const DiffState quiet : {DiffState::not_compared, DiffState::equal})
    for (const TensorRow& row : file.tensors)
      if (row.state == quiet) page.rows.push_back(&row);
  if (page.rows.size() > rows_most) {
    page.rows_left_out = page.rows.size() - rows_most;
    page.rows.resize(rows_most);
  }
  for (const TensorRow* row : page.rows) page.in_table[place_of(page, *row)] = true;
  return page;
}

}  // namespace ferry::report
