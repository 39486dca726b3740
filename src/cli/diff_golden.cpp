#include "src/cli/diff_golden.h"

#include <algorithm>

#include "formats/golden/reader.h"
#include "src/cli/destinations.h"
#include "src/cli/forward_evidence.h"
#include "src/cli/terminal.h"
#include "src/core/error.h"
#include "src/core/sink.h"
#include "src/core/text.h"
#include "src/report/forward.h"

namespace ferry::cli {
namespace {

bool is_golden_path(const std::string& path) {
  try {
    return golden::is_golden(open_file(path), Limits{});
  } catch (const Error&) {
    return false;  // a folder, or what cannot be read: the comparison of checkpoints says so
  }
}

void refuse_meaningless(const DiffOptions& options) {
  const auto refuse = [](const std::string& what) {
    throw Error(Code::bad_usage,
                what +
                    " means nothing for two goldens: they are judged by the rounding that their own "
                    "float64 runs show")
        .with_hint("torchferry diff OLD NEW");
  };
  if (!options.bounds.empty()) refuse("a bound");
  if (!options.policy.empty()) refuse("--policy");
  if (!options.map.empty()) refuse("--map");
  if (!options.save.empty()) refuse("--save");
  if (options.jsonl) refuse("--jsonl");
  for (const std::string& path : options.reports)
    if (!path.ends_with(".txt") && !path.ends_with(".json")) refuse("--report " + quote(path));
}

std::string rendered(const ForwardVerdict& verdict, std::string_view path) {
  if (path.ends_with(".txt")) return report::forward_text(verdict, {.all = true});
  std::string text;
  report::write_forward_json(verdict, [&](std::string_view piece) { text += piece; });
  return text;
}

int save_reports(const ForwardVerdict& verdict, const DiffOptions& options) {
  int code = 0;
  for (const std::string& path : options.reports) {
    try {
      const std::string text = rendered(verdict, path);
      FileSink sink(path, text.size(), {.replace = options.force});
      sink.write_at(0, as_bytes(text));
      sink.commit();
    } catch (const Error& error) {
      print_error(error);
      code = 2;
    }
  }
  return code;
}

}  // namespace

bool are_goldens(const DiffOptions& options) {
  return !options.after.empty() && is_golden_path(options.before) && is_golden_path(options.after);
}

int run_diff_golden(const DiffOptions& options) {
  refuse_meaningless(options);
  check_outputs(options.reports, {options.before, options.after}, options.force);
  const Golden before = open_golden_file(options.before), after = open_golden_file(options.after);
  const ForwardVerdict verdict = compare_goldens(before, after, ForwardBounds{});
  if (options.json)
    report::write_forward_json(verdict, print);
  else if (!options.quiet)
    print(report::forward_text(
        verdict, {.color = options.color, .all = options.all, .width = options.width, .rows = options.rows}));
  return std::max(report::exit_code(verdict), save_reports(verdict, options));
}

}  // namespace ferry::cli
