#include "src/convert/recipe.h"

#include <algorithm>
#include <array>

#include "src/convert/optimizer.h"
#include "src/convert/place.h"
#include "src/convert/state_dict.h"
#include "src/core/paths.h"
#include "src/core/text.h"

namespace ferry::convert {
namespace {

constexpr auto kForms = std::to_array<FormName>({
    {Form::any, "any", "anything"},
    {Form::absent, "absent", "absent"},
    {Form::none, "none", "None"},
    {Form::boolean, "bool", "a bool"},
    {Form::integer, "int", "an int"},
    {Form::real, "float", "a float"},
    {Form::number, "number", "a number"},
    {Form::text, "str", "a str"},
    {Form::tensor, "tensor", "a tensor"},
    {Form::list, "list", "a list"},
    {Form::tuple, "tuple", "a tuple"},
    {Form::dict, "dict", "a dict"},
    {Form::state_dict, "state_dict", "a state_dict"},
    {Form::optimizer, "optimizer", "an optimizer state"},
    {Form::scaler, "scaler", "a GradScaler state"},
});

bool is_integer(Kind kind) { return kind == Kind::integer || kind == Kind::big_integer; }

bool is_scaler(const ValueGraph& graph, NodeId dict) {
  static constexpr std::array<std::string_view, 3> kReals = {"scale", "growth_factor", "backoff_factor"};
  static constexpr std::array<std::string_view, 2> kIntegers = {"growth_interval", "_growth_tracker"};
  const auto is = [&](std::string_view key, auto test) {
    const NodeId value = graph.find(dict, key);
    return value != kNoNode && test(graph.kind(value));
  };
  return std::all_of(kReals.begin(), kReals.end(),
                     [&](auto key) { return is(key, [](Kind kind) { return kind == Kind::real; }); }) &&
         std::all_of(kIntegers.begin(), kIntegers.end(), [&](auto key) { return is(key, is_integer); });
}

bool is_form(const ValueGraph& graph, NodeId id, Form form) {
  const Kind kind = graph.kind(id);
  switch (form) {
    case Form::any:
      return true;
    case Form::absent:
      return false;
    case Form::none:
      return kind == Kind::none;
    case Form::boolean:
      return kind == Kind::boolean;
    case Form::integer:
      return is_integer(kind);
    case Form::real:
      return kind == Kind::real;
    case Form::number:
      return is_integer(kind) || kind == Kind::real;
    case Form::text:
      return kind == Kind::text;
    case Form::tensor:
      return kind == Kind::tensor;
    case Form::list:
      return kind == Kind::list;
    case Form::tuple:
      return kind == Kind::tuple;
    case Form::dict:
      return kind == Kind::dict;
    case Form::state_dict:
      return is_state_dict(graph, id);
    case Form::optimizer:
      return is_optimizer(graph, id);
    case Form::scaler:
      return is_scaler(graph, id);
  }
  return false;
}

bool is_any_of(const ValueGraph& graph, NodeId id, std::span<const Form> forms) {
  return std::any_of(forms.begin(), forms.end(), [&](Form form) { return is_form(graph, id, form); });
}

std::string phrase(Form form) { return std::string(kForms[static_cast<std::size_t>(form)].phrase); }

std::string phrase(std::span<const Form> forms) {
  std::string text;
  for (const Form form : forms) text += (text.empty() ? "" : " or ") + phrase(form);
  return text;
}

// What lies there, in the words of recipes; the narrowest that fits.
std::string described(const ValueGraph& graph, NodeId id) {
  for (const Form form : {Form::scaler, Form::optimizer, Form::state_dict, Form::dict, Form::tuple,
                          Form::list, Form::tensor, Form::none, Form::boolean, Form::integer, Form::real})
    if (is_form(graph, id, form)) return phrase(form);
  if (graph.is_text(id)) return quote(graph.text(id), 40);
  return "something else";
}

bool forbids(const Requirement& requirement) {
  return std::find(requirement.forms.begin(), requirement.forms.end(), Form::absent) !=
         requirement.forms.end();
}

// The keys and the values of what lies there, in one go; "" when all is well.
std::string wrong_inside(const ValueGraph& graph, const Requirement& requirement, NodeId id) {
  if (requirement.keys.empty() && requirement.values.empty()) return "";
  const bool dict = graph.kind(id) == Kind::dict;
  const auto items = graph.items(id);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const bool key = dict && i % 2 == 0;
    const auto& forms = key ? requirement.keys : requirement.values;
    if (forms.empty() || is_any_of(graph, items[i], forms)) continue;
    const std::string name = dict ? key_text(graph, items[i - i % 2]) : std::to_string(i);
    return (key ? "has a key " : "has a value at ") + quote(name, 40) + " that is " +
           described(graph, items[i]) + ", must be " + phrase(forms);
  }
  return "";
}

// Why the value does not do; "" when it does.
std::string wrong(const ValueGraph& graph, const Requirement& requirement, NodeId id) {
  if (!is_any_of(graph, id, requirement.forms))
    return "is " + described(graph, id) + ", must be " + phrase(requirement.forms);
  if (graph.is_text(id) && !requirement.text.empty() &&
      std::none_of(requirement.text.begin(), requirement.text.end(),
                   [&](const std::string& glob) { return glob_match(glob, graph.text(id)); })) {
    std::string globs;
    for (const std::string& glob : requirement.text) globs += (globs.empty() ? "" : " or ") + quote(glob, 40);
    return "is " + described(graph, id) + ", must be " + globs;
  }
  return graph.is_container(id) ? wrong_inside(graph, requirement, id) : "";
}

std::string shown(std::string_view path) {
  return path.empty() || path == kRootPath ? "the root" : std::string(path);
}

ShapeLine look(const ValueGraph& graph, const Requirement& requirement) {
  const std::vector<PathMatch> places = find_places(graph, requirement.path);
  if (places.empty()) {
    if (forbids(requirement)) return {&requirement, shown(requirement.path) + " is absent", true};
    const std::string missing = shown(requirement.path) + " is missing";
    if (requirement.optional) return {&requirement, missing + " (it may be)", true};
    return {&requirement, missing + ", must be " + phrase(requirement.forms), false};
  }
  for (const PathMatch& place : places)
    if (const std::string why = wrong(graph, requirement, place.value); !why.empty())
      return {&requirement, shown(place.path) + " " + why, false};
  return {&requirement, shown(requirement.path) + " is " + described(graph, places.front().value), true};
}

// Requirements that hold because nothing is there say nothing about the file.
bool says_something(const ShapeLine& line) {
  return line.holds && !line.what.ends_with("(it may be)") && !line.what.ends_with("is absent");
}

}  // namespace

std::span<const FormName> form_names() { return kForms; }

std::vector<ShapeLine> find_shape(const ValueGraph& graph, const RecipeShape& shape) {
  std::vector<ShapeLine> lines;
  for (const Requirement& requirement : shape) lines.push_back(look(graph, requirement));
  return lines;
}

ShapeFit find_fit(const ValueGraph& graph, std::span<const RecipeShape> shapes) {
  ShapeFit best;
  for (const RecipeShape& shape : shapes) {
    ShapeFit fit;
    fit.lines = find_shape(graph, shape);
    fit.fits = std::all_of(fit.lines.begin(), fit.lines.end(), [](const auto& line) { return line.holds; });
    fit.weight = static_cast<std::size_t>(std::count_if(fit.lines.begin(), fit.lines.end(), says_something));
    const bool better = fit.fits != best.fits ? fit.fits : fit.weight > best.weight;
    if (best.lines.empty() || better) best = std::move(fit);
  }
  return best;
}

std::string ShapeFit::because() const {
  constexpr std::size_t kMost = 4;
  std::string text;
  std::size_t count = 0;
  for (const ShapeLine& line : lines) {
    if (!says_something(line)) continue;
    if (count++ == kMost) return text + " …";
    text += (text.empty() ? "" : ", ") + line.what;
  }
  return text;
}

std::string ShapeFit::first_failure() const {
  for (const ShapeLine& line : lines)
    if (!line.holds) return line.what;
  return "";
}

}  // namespace ferry::convert
