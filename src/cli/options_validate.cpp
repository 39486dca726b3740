// The description of the verb that checks.
#include <algorithm>
#include <array>

#include "src/cli/options_parts.h"
#include "src/core/text.h"

namespace ferry::cli {
namespace {

constexpr char kValidateFooter[] =
    "\nEvery check is a test case: opens; loads.weights_only and loads.mmap (what torch.load says of\n"
    "AFTER); structure.changes (AFTER is what the conversion of BEFORE gives, no more and no less);\n"
    "tensors.bit_equal, or tensors.within_bounds where there are bounds; optimizer.fits; scaler.loads;\n"
    "drift.* (with --golden, and --model or --rerun).  What cannot be checked is skipped and says why.\n\n"
    "A policy names many checkpoints; paths are relative to it, patterns may be used:\n"
    "  [defaults]\n"
    "  device = \"cpu\"\n"
    "  [[checkpoint]]\n"
    "  before = \"old/*.pth\"\n"
    "  after = \"new/*.pth\"\n"
    "Keys: name, before, after, golden, model, rerun, device, require_gpu, runs, semantic, rounding,\n"
    "rounding_inf, sides, reduced, reduced_inf, unstable, layout, select, include, exclude, rename, map,\n"
    "dtype, nan, check_dtype, bounds, ignore, allow_removed, allow_added,\n"
    "expect, without.  What --save wrote can be judged again: torchferry validate v.h5 --rtol 1e-4\n\n"
    "In GitHub Actions failures become annotations (GITHUB_ACTIONS) and the report is appended to the\n"
    "job summary (GITHUB_STEP_SUMMARY).\n\n"
    "Exit codes: 0 all passed or skipped; 1 a check failed; 2 something could not be checked;\n"
    "3 something was refused for safety.";

constexpr auto kSuffixes =
    std::to_array<std::string_view>({".txt", ".json", ".md", ".html", ".xml", ".sarif"});

void describe_sides(CLI::App& verb, ValidateArguments& to) {
  named(verb.add_option(
            "BEFORE", to.compare.options.before,
            "a file, a folder or a quoted pattern; alone: a policy (.toml), or what --save wrote (.h5)"))
      ->required()
      ->type_name("");
  named(verb.add_option("AFTER", to.compare.options.after,
                        "its conversion: a file, a folder or a quoted pattern"))
      ->type_name("");
  verb.add_option("--layout", to.layout, "the layout that AFTER is to have: clean (default) or keep")
      ->check(CLI::IsMember({"keep", "clean"}).description(""))
      ->type_name("keep|clean");
  verb.add_option("--dtype", to.dtype, "AFTER is BEFORE rounded to this type: float16, bfloat16, float32")
      ->check(CLI::IsMember({"float16", "bfloat16", "float32"}).description(""))
      ->type_name("TYPE");
  add_list(verb, "--expect", to.options.check.expect,
           "a change that the conversion makes (TF501); with one of them, no others are allowed")
      ->type_name("CODE");
  add_list(verb, "--without", to.options.check.without, "leave out checks whose name matches: 'drift*'")
      ->type_name("GLOB");
}

void describe_drift(CLI::App& verb, DriftOptions& to) {
  verb.add_option("--model", to.model, "the model, exported in 2.x: .pt2 or TorchScript")->type_name("FILE");
  verb.add_option("--golden", to.golden, "what the recorder wrote on the old machine")->type_name("FILE");
  verb.add_option("--rerun", to.rerun,
                  "what the recorder wrote in the new environment, in the place of --model")
      ->type_name("FILE");
  verb.add_option("--device", to.device, "where the model runs: auto (default), cpu, cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}).description(""))
      ->type_name("auto|cpu|cuda");
  verb.add_flag("--require-gpu", to.require_gpu, "no GPU is a failure");
  add_list(verb, "--run", to.runs,
           "also run in this precision: tf32 (of a GPU), autocast-bf16, autocast-fp16; tf32-rne, tf32-rz, "
           "bf16, fp16 (emulated, what those are judged by)")
      ->check(CLI::IsMember({"tf32", "tf32-rne", "tf32-rz", "bf16", "fp16", "autocast-bf16", "autocast-fp16"})
                  .description(""))
      ->type_name("RUN");
}

void describe_forward_bounds(CLI::App& verb, ForwardBounds& to) {
  const auto add = [&](const char* name, double& bound, const char* about) {
    verb.add_option(name, bound, about)->check(CLI::NonNegativeNumber.description(""))->type_name("X");
  };
  add("--semantic", to.semantic, "float64 runs: times what rounding of doubles explains (default: 1024)");
  add("--rounding", to.rounding, "float32 run: times the error of the run itself, 2-norm (default: 4)");
  add("--rounding-inf", to.rounding_inf, "the same, the largest element (default: 8)");
  add("--sides", to.sides, "rounding error of one side: times that of the other (default: 4)");
  add("--reduced", to.reduced, "runs in reduced precision: times the error of the emulation (default: 4)");
  add("--reduced-inf", to.reduced_inf, "the same, the largest element (default: 8)");
  add_list(verb, "--unstable", to.unstable_outputs,
           "outputs that hang on decisions (argmin, top-k): not judged by rounding")
      ->type_name("GLOB");
}

void describe_outputs(CLI::App& verb, ValidateArguments& to) {
  ValidateOptions& options = to.options;
  verb.add_flag("--all", options.all, "every check of every checkpoint, every detail");
  verb.add_flag("--json", options.json, "one JSON document on stdout");
  verb.add_option("--junit", options.junit, "write JUnit XML")->type_name("FILE");
  verb.add_option("--sarif", options.sarif, "write SARIF 2.1.0")->type_name("FILE");
  verb.add_option("--markdown", options.markdown, "write a summary in Markdown")->type_name("FILE");
  add_list(verb, "--report", options.reports,
           "write a report: .txt .json .md .html .xml (JUnit) .sarif; may be repeated")
      ->type_name("FILE");
  named(verb.add_option("--save", options.save, "keep what was measured in an HDF5 archive"))
      ->type_name("FILE.h5");
  verb.add_flag("--force", options.force, "replace existing reports");
  verb.add_option("-j,--jobs", to.compare.options.jobs, "threads (default: one a processor)")
      ->check(CLI::Range(1, 4096).description(""))
      ->type_name("N");
  verb.add_flag("-q,--quiet", options.quiet, "the exit code and errors only");
  verb.add_flag("--no-progress", to.no_progress, "no progress line on stderr");
}

void check_suffixes(const std::vector<std::string>& reports) {
  for (const std::string& report : reports)
    if (std::ranges::none_of(kSuffixes, [&](std::string_view suffix) { return report.ends_with(suffix); }))
      throw_usage("--report " + quote(report) +
                      ": the suffix says the form: .txt, .json, .md, .html, .xml (JUnit) or .sarif",
                  "--report validation.html");
}

}  // namespace

void describe_validate(CLI::App& app, ValidateArguments& to) {
  CLI::App& verb = *app.add_subcommand("validate", "check a conversion, every promise a test case, for CI");
  verb.footer(kValidateFooter);
  describe_sides(verb, to);
  describe_drift(verb, to.options.check.drift);
  describe_forward_bounds(verb, to.options.check.drift.bounds);
  describe_bounds(verb, to.compare);
  describe_pairing(verb, to.compare);
  describe_outputs(verb, to);
}

ValidateOptions finished(ValidateArguments& from, const Shared& shared) {
  ValidateOptions& options = from.options;
  CheckOptions& check = options.check;
  for (auto* const list : {&check.expect, &check.without, &check.drift.runs, &options.reports}) unmark(*list);
  for (auto* const text : {&check.drift.model, &check.drift.golden, &check.drift.rerun, &options.junit,
                           &options.sarif, &options.markdown, &options.save})
    unmark(*text);
  check_suffixes(options.reports);
  from.compare.options.rules.layout = from.layout == "keep" ? convert::Layout::keep : convert::Layout::clean;
  check.diff = comparison_of(from.compare);
  if (check.diff.rules.recipe && check.diff.after.empty())
    throw_usage("--recipe needs two checkpoints", "torchferry validate BEFORE AFTER --recipe NAME");
  check.diff.spectral = SpectralChoice::none;
  check.diff.judged_again = !options.save.empty();
  if (!from.dtype.empty()) check.dtype = dtype_by_name(from.dtype);
  if (check.diff.after.empty() && !check.diff.before.ends_with(".toml") && !options.save.empty())
    throw_usage("--save needs two checkpoints or a policy", "torchferry validate BEFORE AFTER --save v.h5");
  if (check.drift.require_gpu && !check.diff.after.empty() && check.drift.golden.empty())
    throw_usage("--require-gpu needs --golden: without one nothing runs",
                "--model M.pt2 --golden G.h5 --require-gpu");
  options.progress = !from.no_progress;
  options.color = takes_color(stdout, shared.choice());
  options.width = terminal_width(stdout);
  return options;
}

}  // namespace ferry::cli
