#include "src/cli/options_parts.h"

#include <regex>
#include <string_view>

#include "src/cli/recipes.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::cli {
namespace {

bool looks_like_list(std::string_view text) {
  return text.size() > 1 && text.front() == '[' && text.back() == ']';
}

}  // namespace

void throw_usage(const std::string& what, const std::string& hint) {
  throw Error(Code::bad_usage, what).with_hint(hint);
}

std::vector<std::string> marked_arguments(int argc, char** argv) {
  std::vector<std::string> arguments;
  for (int i = argc - 1; i > 0; --i) {  // CLI11 takes them from the back
    const std::string_view argument = argv[i];
    arguments.push_back(looks_like_list(argument) ? kMark + std::string(argument) : std::string(argument));
  }
  return arguments;
}

void unmark(std::string& text) {
  if (text.starts_with(kMark) && looks_like_list(std::string_view(text).substr(1))) text.erase(0, 1);
}
void unmark(std::vector<std::string>& texts) {
  for (std::string& text : texts) unmark(text);
}

CLI::Option* add_list(CLI::App& verb, const std::string& name, std::vector<std::string>& list,
                      const std::string& about) {
  return verb.add_option(name, list, about)->allow_extra_args(false);
}

CLI::Option* named(CLI::Option* option) {
  const auto problem = [](const std::string& text) -> std::string {
    return text.empty() ? "the name of the file is empty" : "";
  };
  return option->check(CLI::Validator(problem, ""));
}

std::vector<convert::Rename> renames_of(const std::vector<std::string>& texts) {
  std::vector<convert::Rename> renames;
  for (const std::string& text : texts) {
    const std::size_t equals = text.rfind('=');
    if (equals == std::string::npos || equals == 0)
      throw_usage("--rename " + quote(text) + ": this is not of the form 're=sub'",
                  "--rename '^model\\.(.*)=$1'");
    try {
      const std::regex check(text.substr(0, equals), std::regex::ECMAScript);
    } catch (const std::regex_error& error) {
      throw_usage("--rename " + quote(text) + ": the regular expression is not valid: " + error.what(),
                  "--rename '^model\\.(.*)=$1'");
    }
    renames.push_back({text.substr(0, equals), text.substr(equals + 1)});
  }
  return renames;
}

std::shared_ptr<const convert::Recipe> recipe_of(const std::string& name, const convert::RuleOptions& rules) {
  if (rules.layout == convert::Layout::keep)
    throw_usage("--recipe changes the layout, which --layout keep forbids", "leave one of them out");
  if (!rules.select.empty())
    throw_usage("--recipe is about whole checkpoints, --select takes a part of one",
                "a recipe of your own may have a step: select = " + quote(rules.select));
  return find_recipe(name).recipe;
}

}  // namespace ferry::cli
