// `torchferry recipe`: layouts of known projects, the program's and one's own.
#pragma once

#include <string>

namespace ferry::cli {

struct RecipeOptions {
  std::string action;      // "list", "show", "check"; empty: list
  std::string recipe;      // a name or a file
  std::string checkpoint;  // of check: try the recipe on it; empty: look at the recipe only
  bool json = false;
};

// Prints to stdout; returns 0, or 1 where a recipe does not fit the checkpoint.  Throws Code::bad_recipe …
int run_recipe(const RecipeOptions& options);

}  // namespace ferry::cli
