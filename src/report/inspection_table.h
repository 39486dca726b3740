// Columns of text, as wide as what is in them.  On a terminal the first column gives way, so that lines fit.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::report {

struct Column {
  std::string title;
  bool right = false;  // numbers
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }  // cells are safe to print
  bool empty() const { return rows_.empty(); }
  // `width` 0: nothing is cut.  Columns that are empty in every row are left out.
  void print(const std::function<void(std::string_view)>& put, std::size_t width,
             std::string_view indent) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

std::size_t columns_of(std::string_view text);                     // code points
std::string cut_middle(std::string_view text, std::size_t width);  // "model_state…weight"
std::string cut_end(std::string_view text, std::size_t width);     // "684 tensors, 33,8…"

}  // namespace ferry::report
