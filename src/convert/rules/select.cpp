#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "src/convert/rules/apply.h"
#include "src/core/error.h"
#include "src/core/paths.h"
#include "src/core/text.h"

namespace ferry::convert {
namespace {

// A value on the way, and how much of the path led to it.
struct Place {
  NodeId node;
  std::size_t at;
};

// True when `key` is the next part of `path` at `at`; `next` is where the rest begins.
bool continues(std::string_view path, std::size_t at, std::string_view key, std::size_t& next) {
  const std::string_view rest = path.substr(at);
  if (!rest.starts_with(key)) return false;
  if (rest.size() == key.size()) {
    next = std::string_view::npos;  // the path ends here
    return true;
  }
  next = at + key.size() + 1;
  return rest[key.size()] == '.';
}

// Keys that fit, the longest last: that one is taken from the stack first.
std::vector<Place> steps_from(const ValueGraph& graph, Place place, std::string_view path) {
  std::vector<Place> steps;
  const auto items = graph.items(place.node);
  const bool dict = graph.kind(place.node) == Kind::dict;
  for (std::size_t i = 0; i < items.size(); i += dict ? 2 : 1) {
    std::size_t next = 0;
    const std::string key = dict ? key_text(graph, items[i]) : std::to_string(i);
    if (continues(path, place.at, key, next)) steps.push_back({items[dict ? i + 1 : i], next});
  }
  std::sort(steps.begin(), steps.end(), [](const Place& a, const Place& b) { return a.at < b.at; });
  return steps;
}

// kNoNode when nothing lies there.  Every (value, rest of the path) is tried once, whatever the keys are.
NodeId find_path(const ValueGraph& graph, std::string_view path) {
  std::set<std::pair<NodeId, std::size_t>> tried;
  std::vector<Place> stack{{graph.root(), 0}};
  while (!stack.empty()) {
    const Place place = stack.back();
    stack.pop_back();
    if (place.at == std::string_view::npos) return place.node;
    if (!tried.insert({place.node, place.at}).second) continue;
    const auto steps = steps_from(graph, place, path);
    stack.insert(stack.end(), steps.begin(), steps.end());
  }
  return kNoNode;
}

}  // namespace

void select_subtree(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log) {
  if (options.select.empty()) return;
  const NodeId found = find_path(checkpoint.values, options.select);
  if (found == kNoNode) throw Error(Code::nothing_selected, "nothing lies at " + quote(options.select));
  checkpoint.values.set_root(found);
  log.add(Code::selected, "", options.select + " is the root now; everything outside of it was left out");
}

}  // namespace ferry::convert
