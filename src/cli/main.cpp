#include <exception>

#include "src/cli/convert.h"
#include "src/cli/diff.h"
#include "src/cli/doctor.h"
#include "src/cli/explain.h"
#include "src/cli/hash.h"
#include "src/cli/inspect.h"
#include "src/cli/list_rules.h"
#include "src/cli/memory.h"
#include "src/cli/options.h"
#include "src/cli/recipe.h"
#include "src/cli/recorder.h"
#include "src/cli/replay.h"
#include "src/cli/signals.h"
#include "src/cli/terminal.h"
#include "src/cli/validate.h"
#include "src/core/error.h"

namespace ferry::cli {
namespace {

int run(const PrintText& text) {
  print(text.text);
  return 0;
}
int run(const ExplainOptions& options) { return run_explain(options); }
int run(const ListRulesOptions& options) { return run_list_rules(options); }
int run(const RecorderOptions& options) { return run_recorder(options); }
int run(const DoctorOptions& options) { return run_doctor(options); }
int run(const RecipeOptions& options) { return run_recipe(options); }
int run(const InspectOptions& options) {
  watch_signals();
  return run_inspect(options);
}
int run(const DiffOptions& options) {
  watch_signals();
  return run_diff(options);
}
int run(const ValidateOptions& options) {
  watch_signals();
  return run_validate(options);
}
int run(const HashOptions& options) {
  watch_signals();
  return run_hash(options);
}
int run(const ReplayOptions& options) {
  allow_closed_output();
  watch_signals();
  return run_replay_verb(options);
}
int run(const ConvertOptions& options) {
  allow_closed_output();
  watch_signals();
  return run_convert(options);
}

int run_command(int argc, char** argv) {
  try {
    return std::visit([](const auto& options) { return run(options); }, parse_command_line(argc, argv));
  } catch (const Error& error) {
    print_error(error);
    return error.fault() == Fault::refused ? 3 : 2;
  } catch (const std::exception& error) {
    print_error(error);
    return 2;
  }
}

}  // namespace
}  // namespace ferry::cli

int main(int argc, char** argv) {
  ferry::cli::give_back_large_blocks();
  ferry::cli::keep_standard_streams();
  const int code = ferry::cli::run_command(argc, argv);
  const int lost = ferry::cli::finish_output();
  return code > lost ? code : lost;
}
