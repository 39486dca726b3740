#include "src/config/recipe_file.h"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <regex>

#include "src/convert/place.h"
#include "src/core/error.h"
#include "src/core/nearest.h"
#include "src/core/text.h"

namespace ferry::config {

// Words of its own for what is wrong in a recipe: another code, and the keys that there are.
namespace recipe_file {
namespace {

using convert::Form;
using convert::Literal;
using convert::Recipe;
using convert::RecipeShape;
using convert::Requirement;
using convert::Step;
using convert::Verb;

[[noreturn]] void refuse(const std::string& what, const toml::source_region& place, std::string hint = "") {
  Error error(Code::bad_recipe, what);
  error.in("line " + std::to_string(place.begin.line) + ", column " + std::to_string(place.begin.column));
  throw hint.empty() ? error : error.with_hint(std::move(hint));
}

using Names = std::vector<std::string>;

std::string hint_for(std::string_view typed, const Names& names) {
  const std::string meant = nearest(typed, names);
  return meant.empty() ? "" : "did you mean " + meant + "?";
}

std::string joined(const Names& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

void refuse_unknown(const toml::table& table, const Names& allowed) {
  for (const auto& [key, value] : table) {
    if (std::find(allowed.begin(), allowed.end(), key.str()) != allowed.end()) continue;
    const std::string hint = hint_for(key.str(), allowed);
    refuse("there is no key " + quote(key.str()) + " here", key.source(),
           hint.empty() ? "the keys here are " + joined(allowed) : hint);
  }
}

// TOML sorts the keys of a table; people wrote them in an order.
std::vector<std::pair<const toml::key*, const toml::node*>> as_written(const toml::table& table) {
  std::vector<std::pair<const toml::key*, const toml::node*>> entries;
  for (const auto& [key, value] : table) entries.emplace_back(&key, &value);
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    const auto &x = a.first->source().begin, &y = b.first->source().begin;
    return std::pair(x.line, x.column) < std::pair(y.line, y.column);
  });
  return entries;
}

std::string text_of(const toml::node& node, std::string_view key) {
  if (auto value = node.value_exact<std::string>()) return std::move(*value);
  refuse(std::string(key) + " is a text", node.source());
}

bool truth_of(const toml::node& node, std::string_view key) {
  if (const auto value = node.value_exact<bool>()) return *value;
  refuse(std::string(key) + " is true or false", node.source());
}

void check_path(std::string_view path, const toml::source_region& place) {
  const bool broken =
      path.empty() || (path != convert::kRootPath && (path.front() == '.' || path.back() == '.'));
  if (broken)
    refuse(quote(path) + " is no path", place,
           "keys joined by dots, as in \"model.conv\"; \".\" is the root");
}

std::string path_of(const toml::node& node, std::string_view key) {
  std::string path = text_of(node, key);
  check_path(path, node.source());
  return path;
}

// --- Requirements

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

Form form_of(std::string_view name, const toml::source_region& place) {
  Names names;
  for (const auto& row : convert::form_names()) {
    if (row.name == name) return row.form;
    names.emplace_back(row.name);
  }
  const std::string hint = hint_for(name, names);
  refuse(quote(name) + " is nothing that can lie at a path", place,
         hint.empty() ? "one of " + joined(names) : hint);
}

std::vector<Form> forms_of(std::string_view text, const toml::source_region& place) {
  std::vector<Form> forms;
  for (bool more = true; more;) {
    const std::size_t bar = text.find('|');
    forms.push_back(form_of(trimmed(text.substr(0, bar)), place));
    more = bar != std::string_view::npos;
    if (more) text.remove_prefix(bar + 1);
  }
  return forms;
}

// "dict|list?": the question mark is about all of it.
void read_forms(const toml::node& node, std::string_view key, Requirement& to) {
  const std::string whole = text_of(node, key);
  std::string_view text = trimmed(whole);
  if (text.ends_with('?')) {
    to.optional = true;
    text.remove_suffix(1);
  }
  to.forms = forms_of(trimmed(text), node.source());
}

std::vector<std::string> globs_of(const toml::node& node) {
  if (node.is_string()) return {text_of(node, "text")};
  const toml::array* const list = node.as_array();
  if (list == nullptr) refuse("text is a pattern or a list of patterns", node.source());
  std::vector<std::string> globs;
  for (const toml::node& item : *list) globs.push_back(text_of(item, "a pattern in text"));
  return globs;
}

Requirement requirement_of(const toml::key& key, const toml::node& node) {
  Requirement to;
  to.path = std::string(key.str());
  check_path(to.path, key.source());
  const toml::table* const table = node.as_table();
  if (table == nullptr) {
    read_forms(node, "what lies at a path", to);
    return to;
  }
  if (!table->contains("is"))
    refuse("what lies at " + quote(to.path) + " is missing: is = …", table->source(),
           "write paths with dots in quotes: \"model.conv\" = \"tensor\"");
  refuse_unknown(*table, {"is", "keys", "values", "text"});
  for (const auto& [inner, value] : *table) {
    const std::string_view name = inner.str();
    if (name == "is") read_forms(value, "is", to);
    if (name == "keys") to.keys = forms_of(text_of(value, "keys"), value.source());
    if (name == "values") to.values = forms_of(text_of(value, "values"), value.source());
    if (name == "text") to.text = globs_of(value);
  }
  return to;
}

RecipeShape shape_of(const toml::node& node, std::string_view what) {
  const toml::table* const table = node.as_table();
  if (table == nullptr) refuse(std::string(what) + " is a table of paths and what lies there", node.source());
  RecipeShape shape;
  for (const auto& [key, value] : as_written(*table)) shape.push_back(requirement_of(*key, *value));
  if (shape.empty()) refuse(std::string(what) + " names no path", node.source());
  return shape;
}

// [match] once, or [[match]] for every shape.
std::vector<RecipeShape> shapes_of(const toml::node& node, std::string_view what) {
  const toml::array* const list = node.as_array();
  if (list == nullptr) return {shape_of(node, what)};
  std::vector<RecipeShape> shapes;
  for (const toml::node& item : *list) shapes.push_back(shape_of(item, what));
  return shapes;
}

// --- Steps

Literal literal_of(const toml::node& node) {
  if (const auto* const value = node.as_boolean()) return {value->get()};
  if (const auto* const value = node.as_integer()) return {value->get()};
  if (const auto* const value = node.as_floating_point()) return {value->get()};
  if (const auto* const value = node.as_string()) return {value->get()};
  if (const toml::array* const list = node.as_array()) {
    convert::LiteralList items;
    for (const toml::node& item : *list) items.push_back(literal_of(item));
    return {std::move(items)};
  }
  if (const toml::table* const table = node.as_table()) {
    convert::LiteralDict entries;
    for (const auto& [key, value] : as_written(*table))
      entries.emplace_back(std::string(key->str()), literal_of(*value));
    return {std::move(entries)};
  }
  refuse("dates and times have no place in a checkpoint; write them as text", node.source());
}

struct VerbRow {
  Verb verb;
  std::string_view name;
  std::vector<std::string> also;  // what else such a step may say
};
const std::vector<VerbRow>& verbs() {
  static const std::vector<VerbRow> rows = {
      {Verb::select, "select", {"if", "optional"}},
      {Verb::move, "move", {"to", "if", "optional"}},
      {Verb::rename, "rename", {"to", "in", "if", "optional"}},
      {Verb::drop, "drop", {"if", "optional"}},
      {Verb::set, "set", {"value", "none", "from", "if", "optional"}},
      {Verb::note, "note", {"at", "if"}},
  };
  return rows;
}

const VerbRow& verb_of(const toml::table& table) {
  const VerbRow* found = nullptr;
  Names known = {"to", "in", "if", "optional", "value", "none", "from", "at"}, names;
  for (const VerbRow& row : verbs()) {
    names.emplace_back(row.name);
    if (!table.contains(row.name)) continue;
    if (found != nullptr)
      refuse("a step has one verb: " + std::string(found->name) + " or " + std::string(row.name) + "?",
             table.get(row.name)->source(), "write two steps");
    found = &row;
  }
  if (found != nullptr) return *found;
  known.insert(known.end(), names.begin(), names.end());
  refuse_unknown(table, known);
  refuse("a step has a verb: " + joined(names), table.source());
}

auto stars_of(std::string_view path) { return std::count(path.begin(), path.end(), '*'); }

void refuse_stars(std::string_view path, std::string_view key, const toml::table& table) {
  if (stars_of(path) != 0)
    refuse(std::string(key) + " names one place, so it has no *", table.get(key)->source());
}

void check_regex(const std::string& pattern, const toml::source_region& place) {
  try {
    const std::regex check(pattern);
  } catch (const std::regex_error& error) {
    refuse(quote(pattern) + " is no regular expression: " + error.what(), place);
  }
}

void check_stars(const Step& step, const toml::table& table) {
  if (step.verb == Verb::select) refuse_stars(step.path, "select", table);
  if (step.verb == Verb::move && stars_of(step.path) != stars_of(step.to))
    refuse("move and to have the same number of *", table.get("to")->source());
  if (step.verb != Verb::set) return;
  if (step.from.empty())
    refuse_stars(step.path, "set", table);
  else if (stars_of(step.path) != stars_of(step.from))
    refuse("set and from have the same number of *", table.get("from")->source());
}

void check_complete(const Step& step, const toml::table& table, std::string_view verb) {
  const bool needs_to = step.verb == Verb::move || step.verb == Verb::rename;
  if (needs_to && !table.contains("to")) refuse(std::string(verb) + " needs to = …", table.source());
  if (step.verb != Verb::set) return;
  const int given = int{table.contains("value")} + int{table.contains("none")} + int{table.contains("from")};
  if (given != 1) refuse("set needs one of value = …, none = true, from = …", table.source());
  if (table.contains("none") && !truth_of(*table.get("none"), "none"))
    refuse("none is true, or not there", table.get("none")->source());
}

Step step_of(const toml::node& node) {
  const toml::table* const table = node.as_table();
  if (table == nullptr) refuse("steps are written as [[step]]", node.source());
  const VerbRow& row = verb_of(*table);
  Names allowed = row.also;
  allowed.emplace_back(row.name);
  refuse_unknown(*table, allowed);

  Step step;
  step.verb = row.verb;
  step.line = table->source().begin.line;
  for (const auto& [key, value] : *table) {
    const std::string_view name = key.str();
    if (name == "rename") {
      step.pattern = text_of(value, name);
      check_regex(step.pattern, value.source());
    } else if (name == "note") {
      step.to = text_of(value, name);
    } else if (name == row.name || name == "in" || name == "at") {
      step.path = path_of(value, name);
    }
    if (name == "to") step.to = row.verb == Verb::move ? path_of(value, name) : text_of(value, name);
    if (name == "from") step.from = path_of(value, name);
    if (name == "value") step.value = literal_of(value);
    if (name == "optional") step.optional = truth_of(value, name);
    if (name == "if") step.when = shape_of(value, "if");
  }
  check_complete(step, *table, row.name);
  check_stars(step, *table);
  return step;
}

// --- The whole

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

Recipe recipe_of(const toml::table& table) {
  refuse_unknown(table, {"name", "about", "match", "step", "require"});
  for (const char* const key : {"name", "about", "match"})
    if (!table.contains(key)) refuse(std::string(key) + " is missing", table.source());
  Recipe recipe;
  for (const auto& [key, value] : table) {
    const std::string_view name = key.str();
    if (name == "name") recipe.name = text_of(value, name);
    if (name == "about") recipe.about = text_of(value, name);
    if (name == "match") recipe.matches = shapes_of(value, name);
    if (name == "require") recipe.results = shapes_of(value, name);
    if (name != "step") continue;
    const toml::array* const list = value.as_array();
    if (list == nullptr) refuse("steps are written as [[step]]", value.source());
    for (const toml::node& item : *list) recipe.steps.push_back(step_of(item));
  }
  if (!is_name(recipe.name))
    refuse(quote(recipe.name) + " is no name: letters, digits, - _ .", table.get("name")->source());
  return recipe;
}

}  // namespace
}  // namespace recipe_file

convert::Recipe parse_recipe(std::string_view text) {
  try {
    return recipe_file::recipe_of(toml::parse(text));
  } catch (const toml::parse_error& error) {
    recipe_file::refuse(std::string(error.description()), error.source());
  }
}

}  // namespace ferry::config
