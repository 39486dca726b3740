// Recipes that a run can use: those of the program, and those of the person who runs it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/convert/recipe.h"
#include "src/core/error.h"

namespace ferry::cli {

struct KnownRecipe {
  std::string name;
  std::string origin;  // the path of its file; empty: part of the program
  std::string toml;
  std::shared_ptr<const convert::Recipe> recipe;  // none where it cannot be understood
  std::optional<Error> error;                     // why
  bool replaces = false;                          // one of the program's
};

// $XDG_CONFIG_HOME/torchferry/recipes, else ~/.config/torchferry/recipes; empty where neither is known.
std::string recipe_folder();

// The program's recipes and the *.toml files of the folder, by name.  A file of the same name takes the place
// of the program's.  Read once a run.
const std::vector<KnownRecipe>& known_recipes();

// A file: what ends in .toml or holds a slash; otherwise the name of a known one.  Throws Code::bad_recipe,
// Code::cannot_read, Code::bad_usage with the nearest name.
KnownRecipe find_recipe(const std::string& name_or_file);

// The recipe of which most requirements hold, where all do: the checkpoint as it was read.
struct Suggestion {
  std::string name, because;
};
std::optional<Suggestion> suggest_recipe(const ValueGraph& graph);

}  // namespace ferry::cli
