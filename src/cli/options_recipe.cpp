// The description of `torchferry recipe`.
#include <algorithm>

#include "src/cli/options_parts.h"
#include "src/core/nearest.h"
#include "src/core/text.h"

namespace ferry::cli {
namespace {

constexpr char kRecipeFooter[] =
    "\n  torchferry recipe list                  the recipes of the program and of your folder\n"
    "  torchferry recipe show ffb6d            one of them, in TOML: a place to start your own from\n"
    "  torchferry recipe check my.toml         is it well written; errors have line and column\n"
    "  torchferry recipe check my.toml a.pth   does it fit the file, and what would it do\n"
    "  torchferry convert a.pth -o b.pth --recipe my.toml\n\n"
    "Your folder is $XDG_CONFIG_HOME/torchferry/recipes, else ~/.config/torchferry/recipes: what lies\n"
    "there has a name, is suggested by inspect, and takes the place of a built-in one of that name.";

}  // namespace

void describe_recipe(CLI::App& app, RecipeOptions& to) {
  CLI::App& verb = *app.add_subcommand("recipe", "layouts of known projects: list, show, check");
  verb.footer(kRecipeFooter);
  verb.add_option("ACTION", to.action, "list (default), show or check")->type_name("");
  verb.add_option("RECIPE", to.recipe, "its name, or a file that ends in .toml")->type_name("");
  verb.add_option("CHECKPOINT", to.checkpoint, "of check: try the recipe on this file, in memory")
      ->type_name("");
  verb.add_flag("--json", to.json, "JSON on stdout (list, check)");
}

RecipeOptions finished(RecipeOptions& options) {
  for (auto* const text : {&options.action, &options.recipe, &options.checkpoint}) unmark(*text);
  static const std::vector<std::string> kActions = {"list", "show", "check"};
  const std::string& action = options.action;
  if (!action.empty() && std::find(kActions.begin(), kActions.end(), action) == kActions.end()) {
    const std::string meant = nearest(action, kActions);
    throw_usage("there is no torchferry recipe " + quote(action),
                "did you mean torchferry recipe " + (meant.empty() ? "show " + action : meant) + "?");
  }
  if (options.recipe.empty() && (action == "show" || action == "check"))
    throw_usage("torchferry recipe " + action + " needs a recipe", "torchferry recipe list names them");
  return options;
}

}  // namespace ferry::cli
