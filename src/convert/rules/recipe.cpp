// The steps of a recipe, one after the other.  Each is taken whole or not at all.
#include "src/convert/recipe.h"

#include <algorithm>
#include <string>
#include <type_traits>

#include "src/convert/place.h"
#include "src/convert/renamer.h"
#include "src/convert/rules/apply.h"
#include "src/convert/state_dict.h"
#include "src/convert/wording.h"
#include "src/core/error.h"
#include "src/core/paths.h"
#include "src/core/text.h"

namespace ferry::convert {
namespace {

NodeId make(ValueGraph& graph, const Literal& literal) {
  return std::visit(
      [&](const auto& value) -> NodeId {
        using Type = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<Type, std::monostate>) {
          return graph.make_none();
        } else if constexpr (std::is_same_v<Type, bool>) {
          return graph.make_boolean(value);
        } else if constexpr (std::is_same_v<Type, std::int64_t>) {
          return graph.make_integer(value);
        } else if constexpr (std::is_same_v<Type, double>) {
          return graph.make_real(value);
        } else if constexpr (std::is_same_v<Type, std::string>) {
          return graph.make_text(value);
        } else if constexpr (std::is_same_v<Type, LiteralList>) {
          std::vector<NodeId> items;
          for (const Literal& item : value) items.push_back(make(graph, item));
          return graph.make_list(items);
        } else {
          const NodeId dict = graph.make_dict(DictFlavor::plain);
          for (const auto& [key, item] : value) graph.set_entry(dict, key, make(graph, item));
          return dict;
        }
      },
      literal.value);
}

std::string shown(const Literal& literal) {
  return std::visit(
      [](const auto& value) -> std::string {
        using Type = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<Type, std::monostate>)
          return "None";
        else if constexpr (std::is_same_v<Type, bool>)
          return value ? "True" : "False";
        else if constexpr (std::is_same_v<Type, std::int64_t>)
          return std::to_string(value);
        else if constexpr (std::is_same_v<Type, double>)
          return real_text(value);
        else if constexpr (std::is_same_v<Type, std::string>)
          return quote(value);
        else if constexpr (std::is_same_v<Type, LiteralList>)
          return "a list of " + counted(value.size(), "item");
        else
          return "a dict of " + counted(value.size(), "key");
      },
      literal.value);
}

class Cook {
 public:
  Cook(ValueGraph& graph, ChangeLog& log) : graph_(graph), log_(log) {}

  void take(const Step& step) {
    for (const ShapeLine& line : find_shape(graph_, step.when))
      if (!line.holds) return;
    switch (step.verb) {
      case Verb::select:
        return select(step);
      case Verb::move:
        return move(step);
      case Verb::rename:
        return rename(step);
      case Verb::drop:
        return drop(step);
      case Verb::set:
        return set(step);
      case Verb::note:
        log_.add(Code::recipe_note, step.path, step.to);
    }
  }

 private:
  // Empty only where the step is optional.
  std::vector<PathMatch> places_of(const Step& step, std::string_view pattern) const {
    std::vector<PathMatch> places = find_places(graph_, pattern);
    if (places.empty() && !step.optional)
      throw Error(Code::recipe_mismatch, "nothing lies at " + quote(pattern));
    return places;
  }

  void select(const Step& step) {
    for (const PathMatch& place : places_of(step, step.path)) {
      graph_.set_root(place.value);
      log_.add(Code::recipe_selected, "",
               place.path + " is the root now; everything outside of it was left out");
      return;  // a key may hold dots, so there may be two; the first is the one
    }
  }

  void refuse_taken(std::string_view path) const {
    if (!find_places(graph_, path).empty())
      throw Error(Code::key_collision, "something lies at " + quote(path) + " already");
  }

  void move(const Step& step) {
    const std::vector<PathMatch> places = places_of(step, step.path);
    if (places.empty()) return;
    for (const PathMatch& place : places) refuse_taken(filled(step.to, place.stars));
    if (places.size() == 1 && rename_in_place(places[0], filled(step.to, places[0].stars))) return;
    take_out(graph_, places);
    for (const PathMatch& place : places) put_at(graph_, filled(step.to, place.stars), place.value);
    log_moved(places.front(), filled(step.to, places.front().stars), places.size());
  }

  // A value that stays in its dict keeps its place in the order.
  bool rename_in_place(const PathMatch& place, const std::string& to) {
    if (place.parent == kNoNode || graph_.kind(place.parent) != Kind::dict) return false;
    const std::string key = key_text(graph_, graph_.items(place.parent)[place.slot - 1]);
    const std::string dict = place.path.substr(0, place.path.size() - key.size());  // with its dot
    if (!to.starts_with(dict) || to.find('.', dict.size()) != std::string::npos) return false;
    const auto items = graph_.items(place.parent);
    std::vector<NodeId> pairs(items.begin(), items.end());
    pairs[place.slot - 1] = graph_.make_text(std::string_view(to).substr(dict.size()));
    graph_.set_items(place.parent, pairs);
    log_moved(place, to, 1);
    return true;
  }

  void log_moved(const PathMatch& first, const std::string& to, std::size_t count) {
    log_.add(Code::recipe_moved, first.path,
             "moved to " + to + (count == 1 ? "" : " (" + counted(count, "value") + " like it)"));
  }

  // Dicts that the step names, or every state_dict.
  std::vector<std::pair<NodeId, std::string>> dicts_of(const Step& step) const {
    std::vector<std::pair<NodeId, std::string>> dicts;
    if (!step.path.empty()) {
      for (const PathMatch& place : places_of(step, step.path)) {
        if (graph_.kind(place.value) != Kind::dict)
          throw Error(Code::recipe_mismatch, quote(place.path) + " is no dict, so it has no keys to rename");
        dicts.emplace_back(place.value, place.path);
      }
      return dicts;
    }
    return state_dicts_of(graph_);
  }

  void rename(const Step& step) {
    Renamer renamer(graph_, {{step.pattern, step.to}});
    std::size_t all = 0;
    for (const auto& [dict, path] : dicts_of(step)) {
      const std::size_t count = renamer.rename(dict, path);
      all += count;
      if (count != 0)
        log_.add(Code::recipe_renamed, path,
                 counted(count, "key") + " renamed: " + step.pattern + " → " + quote(step.to));
    }
    if (all == 0 && !step.optional)
      throw Error(Code::recipe_mismatch, "no key matches " + quote(step.pattern));
  }

  void drop(const Step& step) {
    const std::vector<PathMatch> places = places_of(step, step.path);
    if (places.empty()) return;
    take_out(graph_, places);
    const std::string others =
        places.size() == 1 ? "" : " (" + counted(places.size(), "entry") + ": " + step.path + ")";
    log_.add(Code::recipe_dropped, places.front().path, "dropped" + others);
  }

  void set(const Step& step) {
    if (step.from.empty()) {
      const bool there = !find_places(graph_, step.path).empty();
      put_at(graph_, step.path, make(graph_, step.value));
      log_.add(Code::recipe_set, step.path, (there ? "replaced by " : "set to ") + shown(step.value));
      return;
    }
    const std::vector<PathMatch> places = places_of(step, step.from);
    for (const PathMatch& place : places) put_at(graph_, filled(step.path, place.stars), place.value);
    if (!places.empty())
      log_.add(Code::recipe_set, filled(step.path, places.front().stars),
               "set to what lies at " + places.front().path +
                   (places.size() == 1 ? "" : " (" + counted(places.size(), "value") + " like it)"));
  }

  ValueGraph& graph_;
  ChangeLog& log_;
};

std::string name_of(const Recipe& recipe) { return "recipe " + recipe.name; }

}  // namespace

void check_recipe_shape(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog&) {
  if (!options.recipe) return;
  const ShapeFit fit = find_fit(checkpoint.values, options.recipe->matches);
  if (fit.fits) return;
  throw Error(Code::recipe_mismatch,
              name_of(*options.recipe) + " does not fit this file: " + fit.first_failure());
}

void apply_recipe(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log) {
  if (!options.recipe) return;
  log.add(Code::recipe_applied, "", name_of(*options.recipe) + ": " + options.recipe->about);
  Cook cook(checkpoint.values, log);
  for (const Step& step : options.recipe->steps) {
    try {
      cook.take(step);
    } catch (Error& error) {
      throw error.in("the step in line " + std::to_string(step.line) + " of " + name_of(*options.recipe));
    }
  }
}

void check_recipe_result(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog&) {
  if (!options.recipe || options.recipe->results.empty()) return;
  const ShapeFit fit = find_fit(checkpoint.values, options.recipe->results);
  if (fit.fits) return;
  throw Error(Code::recipe_mismatch,
              "the result is not what " + name_of(*options.recipe) + " requires: " + fit.first_failure());
}

}  // namespace ferry::convert
