#include "src/cli/conversion.h"

#include <algorithm>

#include "formats/json/json.h"
#include "src/cli/recipes.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::cli {
namespace {

bool is_of_program(const KnownRecipe& known) { return known.origin.empty(); }

// As on the command line: a recipe of the user's is a file there, and is not asked of another checkpoint.
std::string name_for_record(const std::shared_ptr<const convert::Recipe>& recipe) {
  const bool known = std::ranges::any_of(
      known_recipes(), [&](const KnownRecipe& one) { return is_of_program(one) && one.recipe == recipe; });
  return recipe->name + (known ? "" : ".toml");
}

// False for what this version does not know.
bool take_option(const std::string& name, const std::string& value, convert::RuleOptions& rules) {
  if (name == "--select") {
    rules.select = value;
  } else if (name == "--include") {
    rules.includes.push_back(value);
  } else if (name == "--exclude") {
    rules.excludes.push_back(value);
  } else if (name == "--fix") {
    const std::size_t colon = value.find(':');
    rules.fixes.push_back(
        {value.substr(0, colon), colon == std::string::npos ? "" : value.substr(colon + 1)});
    const convert::Rule* const rule = convert::find_rule(rules.fixes.back().rule);
    return rule != nullptr && rule->when == convert::When::fix;
  } else if (name == "--recipe") {
    // What a file of that name says here, the conversion need not have known.
    const auto known = std::ranges::find(known_recipes(), value, &KnownRecipe::name);
    if (known == known_recipes().end() || !is_of_program(*known)) return false;
    rules.recipe = known->recipe;
  } else if (name == "--amp") {
    rules.amp = convert::Amp::drop;
    return value == "drop";
  } else if (name == "--static-scale") {
    rules.static_scale = convert::StaticScale::frozen;
    return value == "frozen";
  } else if (name == "--fp32-masters") {
    rules.masters = value == "model" ? convert::Masters::model : convert::Masters::drop;
    return value == "model" || value == "drop";
  } else if (name == "--rename") {
    rules.renames.push_back({value, ""});
  } else {
    return name == "--without";  // what was left out of the layout is brought to it for a comparison
  }
  return true;
}

}  // namespace

std::vector<std::string> options_for_record(const convert::RuleOptions& rules) {
  std::vector<std::string> options;
  const auto add = [&](std::string name, std::string value) {
    options.push_back(std::move(name));
    options.push_back(std::move(value));
  };
  if (!rules.select.empty()) add("--select", rules.select);
  for (const std::string& glob : rules.includes) add("--include", glob);
  for (const std::string& glob : rules.excludes) add("--exclude", glob);
  for (const convert::Rename& one : rules.renames) add("--rename", one.pattern + "=" + one.replacement);
  if (rules.recipe) add("--recipe", name_for_record(rules.recipe));
  for (const convert::Fix& fix : rules.fixes)
    add("--fix", fix.rule + (fix.modules.empty() ? "" : ":" + fix.modules));
  for (const std::string& rule : rules.without) add("--without", rule);
  if (rules.amp == convert::Amp::drop) add("--amp", "drop");
  if (rules.static_scale == convert::StaticScale::frozen) add("--static-scale", "frozen");
  if (rules.masters != convert::Masters::keep)
    add("--fp32-masters", rules.masters == convert::Masters::model ? "model" : "drop");
  if (!std::ranges::all_of(options, [](const std::string& text) { return is_utf8(text, false); })) return {};
  return options;
}

std::optional<Conversion> conversion_that_made(const Checkpoint& checkpoint) {
  if (checkpoint.container.provenance.empty()) return {};
  try {
    const json::Value record = json::parse(checkpoint.container.provenance);
    const json::Value* const source = record.find("source");
    const json::Value* const options = record.find("options");
    if (source == nullptr || options == nullptr || options->array() == nullptr) return {};
    const json::Value* const size = source->find("size");
    if (size == nullptr || !size->natural()) return {};
    Conversion conversion{*size->natural(), {}};
    const json::Value::Array& texts = *options->array();
    for (std::size_t i = 0; i < texts.size(); i += 2)
      if (i + 1 == texts.size() || texts[i].text() == nullptr || texts[i + 1].text() == nullptr ||
          !take_option(*texts[i].text(), *texts[i + 1].text(), conversion.asked))
        return {};
    return conversion;
  } catch (const Error&) {
    return {};  // whoever wrote it, it was not a conversion
  }
}

}  // namespace ferry::cli
