#include "src/cli/recipes.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <system_error>

#include "src/cli/name_map.h"
#include "src/config/recipe_file.h"
#include "src/core/nearest.h"
#include "src/core/text.h"

namespace ferry::cli {
namespace {

namespace fs = std::filesystem;

KnownRecipe read_recipe(std::string toml, std::string origin) {
  KnownRecipe known;
  known.origin = std::move(origin);
  known.toml = std::move(toml);
  known.recipe = std::make_shared<const convert::Recipe>(config::parse_recipe(known.toml));
  known.name = known.recipe->name;
  return known;
}

KnownRecipe read_recipe_file(const std::string& path) {
  try {
    return read_recipe(read_text(path), path);
  } catch (Error& error) {
    throw error.of(path);
  }
}

// A broken file is known too: by its file's name, and with what is wrong.
KnownRecipe try_recipe_file(const std::string& path) {
  try {
    return read_recipe_file(path);
  } catch (const Error& error) {
    KnownRecipe known;
    known.name = fs::path(path).stem().string();
    known.origin = path;
    known.error = error;
    return known;
  }
}

std::vector<std::string> recipe_files() {
  std::vector<std::string> paths;
  const std::string folder = recipe_folder();
  if (folder.empty()) return paths;
  std::error_code problem;
  for (fs::directory_iterator file(folder, problem), end; !problem && file != end; file.increment(problem))
    if (file->path().extension() == ".toml") paths.push_back(file->path().string());
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::vector<KnownRecipe> read_known_recipes() {
  std::map<std::string, KnownRecipe> by_name;
  for (const convert::RecipeText& text : convert::built_in_recipes()) {
    KnownRecipe known = read_recipe(std::string(text.toml), "");
    by_name.insert_or_assign(known.name, std::move(known));
  }
  for (const std::string& path : recipe_files()) {
    KnownRecipe known = try_recipe_file(path);
    const auto there = by_name.find(known.name);
    if (known.error && there != by_name.end()) known.name = fs::path(path).filename().string();
    known.replaces = !known.error && there != by_name.end() && there->second.origin.empty();
    const std::string name = known.name;
    by_name.insert_or_assign(name, std::move(known));
  }
  std::vector<KnownRecipe> all;
  for (auto& [name, known] : by_name) all.push_back(std::move(known));
  return all;
}

bool is_file_name(const std::string& text) {
  return text.ends_with(".toml") || text.find('/') != std::string::npos;
}

}  // namespace

std::string recipe_folder() {
  const char* const config = std::getenv("XDG_CONFIG_HOME");
  if (config != nullptr && config[0] == '/') return std::string(config) + "/torchferry/recipes";
  const char* const home = std::getenv("HOME");
  if (home == nullptr || home[0] == '\0') return "";
  return std::string(home) + "/.config/torchferry/recipes";
}

const std::vector<KnownRecipe>& known_recipes() {
  static const std::vector<KnownRecipe> all = read_known_recipes();
  return all;
}

KnownRecipe find_recipe(const std::string& name_or_file) {
  if (is_file_name(name_or_file)) return read_recipe_file(name_or_file);
  std::vector<std::string> names;
  for (const KnownRecipe& known : known_recipes()) {
    names.push_back(known.name);
    if (known.name != name_or_file) continue;
    if (known.error) throw *known.error;
    return known;
  }
  const std::string meant = nearest(name_or_file, names);
  throw Error(Code::bad_usage, "there is no recipe " + quote(name_or_file))
      .with_hint(meant.empty() ? "torchferry recipe list names them; a file's name ends in .toml"
                               : "did you mean " + meant + "?");
}

std::optional<Suggestion> suggest_recipe(const ValueGraph& graph) {
  std::optional<Suggestion> best;
  std::size_t weight = 0;
  for (const KnownRecipe& known : known_recipes()) {
    if (!known.recipe) continue;
    const convert::ShapeFit fit = convert::find_fit(graph, known.recipe->matches);
    if (!fit.fits || fit.weight <= weight) continue;
    weight = fit.weight;
    best = Suggestion{known.name, fit.because()};
  }
  return best;
}

}  // namespace ferry::cli
