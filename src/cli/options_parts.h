// What the descriptions of several verbs share.  Only src/cli/options*.cpp include this: it drags CLI11 in.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "src/cli/diff.h"
#include "src/cli/doctor.h"
#include "src/cli/hash.h"
#include "src/cli/recipe.h"
#include "src/cli/replay.h"
#include "src/cli/terminal.h"
#include "src/cli/validate.h"
#include "src/convert/rule.h"

namespace ferry::cli {

[[noreturn]] void throw_usage(const std::string& what, const std::string& hint);

// CLI11 reads "[a,b]" as a list; a file may have that name.  A mark in front keeps it whole until it is
// stored.
inline constexpr char kMark = '\x01';
std::vector<std::string> marked_arguments(int argc, char** argv);
void unmark(std::string& text);
void unmark(std::vector<std::string>& texts);

struct Shared {
  std::string color = "auto";

  ColorChoice choice() const {
    return color == "auto"     ? ColorChoice::automatic
           : color == "always" ? ColorChoice::always
                               : ColorChoice::never;
  }
};

// An option that takes one value each time it is given.
CLI::Option* add_list(CLI::App& verb, const std::string& name, std::vector<std::string>& list,
                      const std::string& about);

// Refuses an empty text where a file is named: a variable of a script that is not set.
CLI::Option* named(CLI::Option* option);

std::vector<convert::Rename> renames_of(const std::vector<std::string>& texts);

// The recipe of that name or in that file.  Throws where the other rules leave it no room.
std::shared_ptr<const convert::Recipe> recipe_of(const std::string& name, const convert::RuleOptions& rules);

// --- Options that choose and steer the rules of convert

struct RuleArguments {
  std::string amp = "scaler", static_scale = "none", masters = "keep";
  std::vector<std::string> fixes, without;
  bool list = false;
};
void describe_rules(CLI::App& verb, RuleArguments& to);
void finish_rules(RuleArguments& from, convert::RuleOptions& rules);

// --- Verbs whose descriptions have files of their own

struct DiffArguments {
  DiffOptions options;
  std::vector<std::string> renames, rtols, atols, ulps;
  std::string recipe;
  std::string nan = "equal", spectral = "worst";
  bool close = false, no_check_dtype = false, no_progress = false;
};
void describe_diff(CLI::App& app, DiffArguments& to);
DiffOptions finished(DiffArguments& from, const Shared& shared);
// What validate shares with it: bounds, and which tensors are compared.
void describe_bounds(CLI::App& verb, DiffArguments& to);
void describe_pairing(CLI::App& verb, DiffArguments& to);
DiffOptions comparison_of(DiffArguments& from);

struct ValidateArguments {
  ValidateOptions options;
  DiffArguments compare;
  std::string layout = "clean", dtype;
  bool no_progress = false;
};
void describe_validate(CLI::App& app, ValidateArguments& to);
ValidateOptions finished(ValidateArguments& from, const Shared& shared);

struct HashArguments {
  HashOptions options;
};
void describe_hash(CLI::App& app, HashArguments& to);
HashOptions finished(HashArguments& from);

void describe_recipe(CLI::App& app, RecipeOptions& to);
RecipeOptions finished(RecipeOptions& options);

void describe_replay(CLI::App& app, ReplayOptions& to);
ReplayOptions finished(ReplayOptions& from);

void describe_doctor(CLI::App& app, DoctorOptions& to);
DoctorOptions finished(DoctorOptions& from);

}  // namespace ferry::cli
