#include "src/convert/place.h"

#include <map>
#include <optional>
#include <set>
#include <utility>

#include "src/convert/state_dict.h"
#include "src/core/error.h"
#include "src/core/paths.h"
#include "src/core/text.h"

namespace ferry::convert {
namespace {

bool has_star(std::string_view pattern) { return pattern.find('*') != std::string_view::npos; }

// What each * of the pattern stands for in the key, each as short as it can be; nullopt where it does not
// fit.
std::optional<std::vector<std::string>> fit(std::string_view pattern, std::string_view key) {
  std::vector<std::string> stars;
  std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == key ? std::optional(stars) : std::nullopt;
  if (!key.starts_with(pattern.substr(0, star))) return std::nullopt;
  key.remove_prefix(star);
  for (pattern.remove_prefix(star + 1);; pattern.remove_prefix(star + 1)) {
    star = pattern.find('*');
    const std::string_view piece = pattern.substr(0, star);
    if (star == std::string_view::npos) {
      if (!key.ends_with(piece)) return std::nullopt;
      stars.emplace_back(key.substr(0, key.size() - piece.size()));
      return stars;
    }
    const std::size_t at = key.find(piece);
    if (at == std::string_view::npos) return std::nullopt;
    stars.emplace_back(key.substr(0, at));
    key.remove_prefix(at + piece.size());
  }
}

class Search {
 public:
  explicit Search(const ValueGraph& graph) : graph_(graph) {}

  // Recurses once for each dot of the pattern at most.
  void look(const PathMatch& from, std::string_view rest) {
    for (std::size_t dot = rest.find('.');; dot = rest.find('.', dot + 1)) {
      const std::string_view part = rest.substr(0, dot);
      const std::string_view after = dot == std::string_view::npos ? "" : rest.substr(dot + 1);
      if (!part.empty()) step(from, part, dot == std::string_view::npos, after);
      if (dot == std::string_view::npos) return;
    }
  }

  std::vector<PathMatch> found;

 private:
  void step(const PathMatch& from, std::string_view part, bool last, std::string_view after) {
    const Kind kind = graph_.kind(from.value);
    const bool dict = kind == Kind::dict;
    if (!dict && kind != Kind::list && kind != Kind::tuple) return;
    const auto items = graph_.items(from.value);
    for (std::size_t i = 0; i < items.size(); i += dict ? 2 : 1) {
      // Most keys are text, and most parts have no star: comparing them costs no copy.
      if (dict && graph_.is_text(items[i]) && !has_star(part) && graph_.text(items[i]) != part) continue;
      const std::string key = dict ? key_text(graph_, items[i]) : std::to_string(i);
      auto stars = fit(part, key);
      if (!stars) continue;
      PathMatch to{items[dict ? i + 1 : i], from.value, dict ? i + 1 : i, join_path(from.path, key),
                   from.stars};
      to.stars.insert(to.stars.end(), stars->begin(), stars->end());
      if (!last)
        look(to, after);
      else if (seen_.insert({to.parent, to.slot}).second)
        found.push_back(std::move(to));
    }
  }

  const ValueGraph& graph_;
  std::set<std::pair<NodeId, std::size_t>> seen_;
};

[[noreturn]] void throw_no_dict(std::string_view path) {
  throw Error(Code::recipe_mismatch,
              (path.empty() ? "the root" : quote(path)) + " is no dict, so nothing can be put there");
}

// The longest beginning of the path that is a key here, with a dict behind it and more of the path to go.
struct KnownStep {
  std::size_t length = 0;
  NodeId dict = kNoNode;
};
KnownStep known_step(const ValueGraph& graph, NodeId dict, std::string_view path) {
  for (std::size_t dot = path.rfind('.'); dot != std::string_view::npos && dot != 0;
       dot = path.rfind('.', dot - 1)) {
    const NodeId next = graph.find(dict, path.substr(0, dot));
    if (next != kNoNode) return {dot, next};
  }
  return {};
}

}  // namespace

std::vector<PathMatch> find_places(const ValueGraph& graph, std::string_view pattern) {
  const PathMatch root{.value = graph.root(), .path = {}, .stars = {}};
  if (pattern == kRootPath) return {root};
  Search search(graph);
  search.look(root, pattern);
  return std::move(search.found);
}

std::string filled(std::string_view pattern, const std::vector<std::string>& stars) {
  std::string path;
  std::size_t next = 0;
  for (const char c : pattern) {
    if (c == '*' && next < stars.size())
      path += stars[next++];
    else
      path += c;
  }
  return path;
}

void put_at(ValueGraph& graph, std::string_view path, NodeId value) {
  NodeId dict = graph.root();
  std::string done;
  for (std::string_view rest = path;;) {
    if (graph.kind(dict) != Kind::dict) throw_no_dict(done);
    const KnownStep known = known_step(graph, dict, rest);
    const std::size_t dot = rest.find('.');
    if (known.dict == kNoNode && (dot == std::string_view::npos || is_state_dict(graph, dict))) {
      graph.set_entry(dict, rest, value);
      return;
    }
    const std::size_t length = known.dict == kNoNode ? dot : known.length;
    NodeId next = known.dict;
    if (next == kNoNode) {
      next = graph.make_dict(DictFlavor::plain);
      graph.set_entry(dict, rest.substr(0, length), next);
    }
    done = join_path(done, rest.substr(0, length));
    rest.remove_prefix(length + 1);
    dict = next;
  }
}

void take_out(ValueGraph& graph, std::span<const PathMatch> places) {
  std::map<NodeId, std::set<std::size_t>> slots;  // of the values that go, by their dicts
  for (const PathMatch& place : places) {
    if (place.parent == kNoNode) throw Error(Code::recipe_mismatch, "the root cannot be taken away");
    if (graph.kind(place.parent) != Kind::dict)
      throw Error(Code::recipe_mismatch,
                  quote(place.path) + " lies in a list, where every item keeps its place");
    slots[place.parent].insert(place.slot);
  }
  for (const auto& [dict, gone] : slots) {
    const auto items = graph.items(dict);
    std::vector<NodeId> pairs;
    for (std::size_t i = 0; i + 1 < items.size(); i += 2)
      if (!gone.contains(i + 1)) pairs.insert(pairs.end(), {items[i], items[i + 1]});
    graph.set_items(dict, pairs);
  }
}

}  // namespace ferry::convert
