#include "src/cli/recipe.h"

#include <algorithm>

#include "formats/formats.h"
#include "src/cli/recipes.h"
#include "src/cli/terminal.h"
#include "src/convert/rule.h"
#include "src/core/limits.h"
#include "src/core/text.h"
#include "src/report/json.h"

namespace ferry::cli {
namespace {

constexpr int kMisfit = 1;

std::string padded_to(std::string_view text, std::size_t width) {
  return std::string(text) + std::string(width > text.size() ? width - text.size() : 0, ' ');
}

// --- list

std::string remark_of(const KnownRecipe& known) {
  if (known.origin.empty()) return "";
  return std::string(known.replaces ? "  (replaces the built-in one: " : "  (") +
         escape_for_terminal(known.origin) + ")";
}

void list_as_text() {
  std::size_t width = 0;
  for (const KnownRecipe& known : known_recipes()) width = std::max(width, known.name.size());
  for (const KnownRecipe& known : known_recipes())
    print(padded_to(escape_for_terminal(known.name), width) + "  " +
          (known.error ? "broken: " + std::string(known.error->what())
                       : escape_for_terminal(known.recipe->about) + remark_of(known)) +
          "\n");
}

void list_as_json() {
  report::JsonWriter json(print);
  json.begin_object();
  json.field("schema", "torchferry.recipes/1");
  json.field("folder", recipe_folder());
  json.key("recipes");
  json.begin_array();
  for (const KnownRecipe& known : known_recipes()) {
    json.begin_object();
    json.field("name", known.name);
    json.field("about", known.recipe ? known.recipe->about : std::string());
    json.field("built_in", known.origin.empty());
    if (!known.origin.empty()) json.field("file", known.origin);
    if (known.error) json.field("error", known.error->what());
    json.end_object();
  }
  json.end_array();
  json.end_object();
  json.finish();
}

int run_list(const RecipeOptions& options) {
  if (options.json)
    list_as_json();
  else
    list_as_text();
  return 0;
}

// --- check

// What came of trying a recipe on a checkpoint.
struct Trial {
  std::string checkpoint;
  convert::ShapeFit fit;
  ChangeLog changes;
  std::optional<Error> error;  // of a step, or of what the recipe requires
  bool good() const { return fit.fits && !error; }
};

Trial try_recipe(const KnownRecipe& known, const std::string& path) {
  Trial trial;
  trial.checkpoint = path;
  Checkpoint checkpoint = open_checkpoint(open_file(path), Limits{});
  trial.fit = convert::find_fit(checkpoint.values, known.recipe->matches);
  // The lines point into the recipe, which lives as long as `known`.
  if (!trial.fit.fits) return trial;
  convert::RuleOptions rules;
  rules.recipe = known.recipe;
  try {
    convert::apply_rules(checkpoint, rules, trial.changes);
  } catch (const Error& error) {
    trial.error = error;
  }
  return trial;
}

void print_as_text(const KnownRecipe& known, const std::optional<Trial>& trial) {
  const convert::Recipe& recipe = *known.recipe;
  print(escape_for_terminal(recipe.name) + ": the recipe can be used (" +
        counted(recipe.matches.size(), "shape") + ", " + counted(recipe.steps.size(), "step") + ")\n");
  if (!trial) return;
  print(escape_for_terminal(trial->checkpoint) + (trial->fit.fits ? ": it fits\n" : ": it does not fit\n"));
  for (const convert::ShapeLine& line : trial->fit.lines)
    print(std::string(line.holds ? "  yes  " : "  NO   ") + escape_for_terminal(line.what) + "\n");
  if (!trial->fit.fits) return;
  print("what convert would do\n");
  for (const Change& change : trial->changes.changes())
    print("  " + (change.path.empty() ? "" : escape_for_terminal(change.path) + ": ") +
          escape_for_terminal(change.what) + " [" + code_name(change.code) + "]\n");
  if (trial->error) print("  it would fail: " + std::string(trial->error->what()) + "\n");
}

void print_as_json(const KnownRecipe& known, const std::optional<Trial>& trial) {
  report::JsonWriter json(print);
  json.begin_object();
  json.field("schema", "torchferry.recipe-check/1");
  json.field("recipe", known.recipe->name);
  if (trial) {
    json.field("checkpoint", trial->checkpoint);
    json.field("fits", trial->fit.fits);
    json.key("shape");
    json.begin_array();
    for (const convert::ShapeLine& line : trial->fit.lines) {
      json.begin_object();
      json.field("path", line.requirement->path);
      json.field("what", line.what);
      json.field("holds", line.holds);
      json.end_object();
    }
    json.end_array();
    json.key("changes");
    json.begin_array();
    for (const Change& change : trial->changes.changes()) {
      json.begin_object();
      json.field("code", code_name(change.code));
      json.field("path", change.path);
      json.field("what", change.what);
      json.end_object();
    }
    json.end_array();
    if (trial->error) json.field("error", trial->error->what());
  }
  json.end_object();
  json.finish();
}

int run_check(const RecipeOptions& options) {
  const KnownRecipe known = find_recipe(options.recipe);
  std::optional<Trial> trial;
  if (!options.checkpoint.empty()) trial = try_recipe(known, options.checkpoint);
  if (options.json)
    print_as_json(known, trial);
  else
    print_as_text(known, trial);
  return trial && !trial->good() ? kMisfit : 0;
}

}  // namespace

int run_recipe(const RecipeOptions& options) {
  if (options.action == "show") {
    print(find_recipe(options.recipe).toml);
    return 0;
  }
  return options.action == "check" ? run_check(options) : run_list(options);
}

}  // namespace ferry::cli
