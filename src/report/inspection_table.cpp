#include "src/report/inspection_table.h"

#include <algorithm>

namespace ferry::report {
namespace {

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// The bytes of the first `count` code points.
std::size_t bytes_of(std::string_view text, std::size_t count) {
  std::size_t at = 0;
  for (; at < text.size(); ++at)
    if (!continues(text[at]) && count-- == 0) break;
  return at;
}

}  // namespace

std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !continues(c); }));
}

std::string cut_end(std::string_view text, std::size_t width) {
  if (width == 0 || columns_of(text) <= width) return std::string(text);
  return std::string(text.substr(0, bytes_of(text, width - 1))) + "…";
}

std::string cut_middle(std::string_view text, std::size_t width) {
  const std::size_t columns = columns_of(text);
  if (width == 0 || columns <= width) return std::string(text);
  const std::size_t tail = (width - 1) * 2 / 3, head = width - 1 - tail;  // the end tells tensors apart
  return std::string(text.substr(0, bytes_of(text, head))) + "…" +
         std::string(text.substr(bytes_of(text, columns - tail)));
}

void Table::print(const std::function<void(std::string_view)>& put, std::size_t width,
                  std::string_view indent) const {
  std::vector<std::size_t> widths(columns_.size());
  std::vector<bool> used(columns_.size());
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    widths[i] = columns_of(columns_[i].title);
    for (const auto& row : rows_) {
      widths[i] = std::max(widths[i], columns_of(row[i]));
      used[i] = used[i] || !row[i].empty();
    }
  }
  std::size_t others = indent.size();
  for (std::size_t i = 1; i < columns_.size(); ++i)
    if (used[i]) others += widths[i] + 2;
  if (width > 0)
    widths[0] = std::min(widths[0], std::max<std::size_t>(width > others ? width - others : 0, 16));

  const auto line = [&](auto&& cell_of) {
    std::string text(indent);
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (i > 0 && !used[i]) continue;
      const std::string cell = i == 0 ? cut_middle(cell_of(i), widths[0]) : std::string(cell_of(i));
      const std::string space(widths[i] - std::min(widths[i], columns_of(cell)), ' ');
      text += i > 0 ? "  " : "";
      text += columns_[i].right ? space + cell : cell + space;
    }
    while (text.ends_with(' ')) text.pop_back();
    put(cut_end(text, width) + "\n");
  };
  line([&](std::size_t i) -> const std::string& { return columns_[i].title; });
  for (const auto& row : rows_) line([&](std::size_t i) -> const std::string& { return row[i]; });
}

}  // namespace ferry::report
