#include "src/convert/wording.h"

#include "src/core/text.h"

namespace ferry::convert {

std::string counted(std::size_t count, std::string_view noun) {
  std::string text = grouped(count) + " ";
  if (count == 1) return text.append(noun);
  if (noun.ends_with("ry")) return text.append(noun.substr(0, noun.size() - 1)).append("ies");
  return text.append(noun).append(noun.ends_with('s') ? "es" : "s");
}

std::string listed(const std::vector<std::string>& names, std::size_t most) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < most; ++i) text.append(i == 0 ? "" : ", ").append(names[i]);
  return names.size() > most ? text + " …" : text;
}

}  // namespace ferry::convert
