// The command line, understood.
#pragma once

#include <string>
#include <variant>

#include "src/cli/convert.h"
#include "src/cli/diff.h"
#include "src/cli/doctor.h"
#include "src/cli/explain.h"
#include "src/cli/hash.h"
#include "src/cli/inspect.h"
#include "src/cli/list_rules.h"
#include "src/cli/recipe.h"
#include "src/cli/recorder.h"
#include "src/cli/replay.h"
#include "src/cli/validate.h"

namespace ferry::cli {

// Text that was asked for instead of a verb: help or the version.
struct PrintText {
  std::string text;
};

using Command = std::variant<PrintText, ConvertOptions, InspectOptions, DiffOptions, ValidateOptions,
                             HashOptions, RecipeOptions, RecorderOptions, ReplayOptions, DoctorOptions,
                             ExplainOptions, ListRulesOptions>;

// Throws Code::bad_usage, with the nearest verb or option where one was mistyped.
Command parse_command_line(int argc, char** argv);

}  // namespace ferry::cli
