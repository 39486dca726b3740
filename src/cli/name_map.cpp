#include "src/cli/name_map.h"

#include <array>
#include <unordered_set>

#include "formats/json/json.h"
#include "src/core/bytes.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::cli {
namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r") + 1 - begin);
}

// Each name can have one partner.
class NamesTaken {
 public:
  void add(const std::string& before, const std::string& after) {
    if (!before_.insert(before).second) fail(before, "before");
    if (!after_.insert(after).second) fail(after, "after");
  }

 private:
  [[noreturn]] static void fail(const std::string& name, const std::string& side) {
    throw Error(Code::bad_policy, quote(name) + " stands twice among the names of " + side);
  }
  std::unordered_set<std::string> before_, after_;
};

structure::NameMap from_json(const std::string& text) {
  json::Rules rules;
  rules.broken = Code::bad_policy;
  rules.space_before = true;
  const json::Value document = json::parse(text, rules);
  structure::NameMap names;
  NamesTaken taken;
  for (const auto& [before, after] : *document.object()) {
    if (after.text() == nullptr)
      throw Error(Code::bad_policy, "the name for " + quote(before) + " is no text");
    taken.add(before, *after.text());
    names.emplace_back(before, *after.text());
  }
  return names;
}

structure::NameMap from_lines(std::string_view text) {
  static constexpr std::array<std::string_view, 4> kDividers = {"\t", "->", "=", " "};
  structure::NameMap names;
  NamesTaken taken;
  std::size_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = trimmed(text.substr(at, end - at));
    at = end + 1;
    ++number;
    if (line.empty() || line.front() == '#') continue;
    std::size_t middle = std::string_view::npos, width = 0;
    for (const std::string_view divider : kDividers)
      if (middle == std::string_view::npos) {
        middle = line.find(divider);
        width = divider.size();
      }
    const std::string_view before = middle == std::string_view::npos ? line : trimmed(line.substr(0, middle));
    const std::string_view after =
        middle == std::string_view::npos ? "" : trimmed(line.substr(middle + width));
    if (before.empty() || after.empty())
      throw Error(Code::bad_policy, "a line of a map holds two names, before and after")
          .in("line " + std::to_string(number));
    try {
      taken.add(std::string(before), std::string(after));
    } catch (Error& error) {
      error.in("line " + std::to_string(number));
      throw;
    }
    names.emplace_back(before, after);
  }
  return names;
}

}  // namespace

std::string read_text(const std::string& path) {
  constexpr std::uint64_t kMax = std::uint64_t{64} << 20;
  const SourcePtr source = open_file(path);
  if (source->size() > kMax) throw Error(Code::limit_exceeded, "the file is too large").of(path);
  const std::vector<std::byte> bytes = source->read({0, source->size()});
  return std::string(as_text(bytes));
}

structure::NameMap read_name_map(const std::string& path) {
  const std::string text = read_text(path);
  try {
    const std::size_t begin = text.find_first_not_of(" \t\r\n");
    return begin != std::string::npos && text[begin] == '{' ? from_json(text) : from_lines(text);
  } catch (Error& error) {
    error.of(path);
    throw;
  }
}

}  // namespace ferry::cli
