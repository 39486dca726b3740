#include "formats/hdf5/names.h"

#include <array>
#include <utility>

namespace ferry::hdf5 {
namespace {

constexpr auto kEscapes =
    std::to_array<std::pair<char, std::string_view>>({{'%', "%25"}, {'/', "%2F"}, {'\0', "%00"}});

}  // namespace

std::string link_name(std::string_view name) {
  if (name.empty()) return "%";
  if (name == ".") return "%2E";
  std::string link;
  for (const char c : name) {
    std::string_view written(&c, 1);
    for (const auto& [odd, escape] : kEscapes)
      if (c == odd) written = escape;
    link += written;
  }
  return link;
}

std::string name_of_link(std::string_view link) {
  if (link == "%") return "";
  if (link == "%2E") return ".";
  std::string name;
  for (std::size_t i = 0; i < link.size(); ++i) {
    name += link[i];
    for (const auto& [odd, escape] : kEscapes)
      if (link.substr(i).starts_with(escape)) {
        name.back() = odd;
        i += escape.size() - 1;
        break;
      }
  }
  return name;
}

}  // namespace ferry::hdf5
