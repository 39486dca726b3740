// The descriptions of the verbs that compare.
#include <charconv>

#include "src/cli/options_parts.h"
#include "src/core/text.h"

namespace ferry::cli {
namespace {

constexpr char kDiffFooter[] =
    "\nWithout bounds the two must be equal bit for bit; what a conversion is known to change is\n"
    "listed and does not count.  A bound is a number for all tensors, or 'glob:number' for those\n"
    "whose dotted path matches; later ones override earlier ones, and all of them --close.  Of\n"
    "folders, files meet by their path below them, whatever their suffix; a folder with a shard\n"
    "index can stand for a model.\n"
    "What --save wrote can be judged again: torchferry diff m.h5 --rtol 1e-4; it holds what was\n"
    "found, whatever was allowed then, and ratios of spectral norms of the 32 worst tensors.\n"
    "Two goldens are judged as forward passes: whether one function made both, how exactly, and\n"
    "where the first module differs; their own float64 runs are the bound.\n\n"
    "Exit codes: 0 equal, or within the bounds; 1 differs; 2, 3 could not be compared.";
constexpr char kHashFooter[] =
    "\nThe hash is XXH3-128 over names, types, shapes and elements of all tensors, in the layout of\n"
    "2.x: a checkpoint and its conversion have one hash.  Layouts, sizes, scales and zero points of\n"
    "sparse and quantized tensors count too; of tensors without data (meta) only name, type and\n"
    "shape.  A manifest is what this verb prints as text, with --tensors too:\n"
    "  torchferry hash models/ > MANIFEST; torchferry hash --check MANIFEST";

void describe_output(CLI::App& verb, DiffArguments& to) {
  verb.add_flag("--all", to.options.all, "every tensor, also equal ones");
  verb.add_option("-n,--rows", to.options.rows, "rows of the worst tensors (default: 20)")
      ->check(CLI::Range(0, 1'000'000'000).description(""))
      ->type_name("N");
  verb.add_option("--spectral", to.spectral,
                  "ratio of spectral norms: of the worst rows where cheap (default), of all, of none")
      ->check(CLI::IsMember({"worst", "all", "none"}).description(""))
      ->type_name("worst|all|none");
  verb.add_flag("--json", to.options.json, "one JSON document on stdout");
  verb.add_flag("--jsonl", to.options.jsonl, "a JSON object a line on stdout");
  add_list(verb, "--report", to.options.reports,
           "also write a report: .txt .json .jsonl .md .html; may be repeated")
      ->type_name("FILE");
  named(verb.add_option("--save", to.options.save, "keep what was measured in an HDF5 archive"))
      ->type_name("FILE.h5");
  verb.add_flag("--save-differences", to.options.save_differences,
                "with after - before of every tensor that differs");
  verb.add_flag("--force", to.options.force, "replace existing reports; never a file that is read");
  verb.add_option("-j,--jobs", to.options.jobs, "threads (default: one a processor)")
      ->check(CLI::Range(1, 4096).description(""))
      ->type_name("N");
  verb.add_flag("-q,--quiet", to.options.quiet, "the exit code only");
  verb.add_flag("--no-progress", to.no_progress, "no progress line on stderr");
}

// "backbone.*:1e-4" or "1e-4".
void add_bounds(std::string_view option, const std::vector<std::string>& texts,
                std::optional<double> BoundRow::*number, std::vector<BoundRow>& rows) {
  for (const std::string& text : texts) {
    const std::size_t colon = text.rfind(':');
    BoundRow row;
    row.pattern = colon == std::string::npos ? "*" : text.substr(0, colon);
    const std::string digits = colon == std::string::npos ? text : text.substr(colon + 1);
    double value = 0;
    const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (problem != std::errc() || end != digits.data() + digits.size() || !(value >= 0))
      throw_usage(
          std::string(option) + " " + quote(text) + ": a bound is a number of 0 or more, or 'glob:number'",
          std::string(option) + " 1e-5");
    row.*number = value;
    rows.push_back(std::move(row));
  }
}

bool has_report_suffix(std::string_view path) {
  return path.ends_with(".txt") || path.ends_with(".json") || path.ends_with(".jsonl") ||
         path.ends_with(".md") || path.ends_with(".html");
}

}  // namespace

void describe_bounds(CLI::App& verb, DiffArguments& to) {
  add_list(verb, "--rtol", to.rtols, "allow |after - before| <= atol + rtol * |before|")
      ->type_name("[GLOB:]X");
  add_list(verb, "--atol", to.atols, "see --rtol; one of them given alone leaves the other 0")
      ->type_name("[GLOB:]X");
  add_list(verb, "--ulp", to.ulps, "allow that many units in the last place")->type_name("[GLOB:]N");
  verb.add_flag(
      "--close", to.close,
      "the tolerances of torch.testing.assert_close for each type, where no bound is given; quantized "
      "ones must be equal");
  verb.add_option("--nan", to.nan, "equal (default): NaN equals NaN; strict: NaN equals nothing")
      ->check(CLI::IsMember({"equal", "strict"}).description(""))
      ->type_name("equal|strict");
  verb.add_flag("--no-check-dtype", to.no_check_dtype, "another element type alone is no difference");
  add_list(verb, "--ignore", to.options.ignores, "differences in dotted paths that match do not count")
      ->type_name("GLOB");
  named(verb.add_option("--policy", to.options.policy, "bounds and exceptions in TOML"))->type_name("FILE");
}

void describe_pairing(CLI::App& verb, DiffArguments& to) {
  verb.add_option("--select", to.options.rules.select, "compare only what lies under this dotted path")
      ->type_name("PATH");
  add_list(verb, "--include", to.options.rules.includes, "compare only tensors whose dotted path matches")
      ->type_name("GLOB");
  add_list(verb, "--exclude", to.options.rules.excludes, "leave out tensors whose dotted path matches")
      ->type_name("GLOB");
  add_list(verb, "--rename", to.renames, "rename keys of before: 're=sub'; may be repeated")
      ->type_name("RE=SUB");
  verb.add_option("--recipe", to.recipe, "bring before into the layout that a recipe gives; see convert")
      ->type_name("NAME|FILE.toml");
  named(verb.add_option("--map", to.options.map, "pairs of names, before and after: lines or a JSON object"))
      ->type_name("FILE");
  verb.add_flag("--as-stored", to.options.as_stored,
                "compare names and values as they are stored, not in the layout of 2.x");
  add_list(verb, "--files", to.options.files, "files in folders that count, whatever their suffix")
      ->type_name("GLOB");
  add_list(verb, "--skip", to.options.skips, "files in folders that do not count")->type_name("GLOB");
}

void describe_diff(CLI::App& app, DiffArguments& to) {
  CLI::App& verb = *app.add_subcommand("diff", "what changed between two checkpoints, where, and how much");
  verb.footer(kDiffFooter);
  named(verb.add_option("BEFORE", to.options.before, "a file or a folder; alone: what --save wrote"))
      ->required()
      ->type_name("");
  named(verb.add_option("AFTER", to.options.after, "a file or a folder"))->type_name("");
  describe_bounds(verb, to);
  describe_pairing(verb, to);
  describe_output(verb, to);
}

DiffOptions comparison_of(DiffArguments& from) {
  DiffOptions& options = from.options;
  for (auto* const list : {&options.rules.includes, &options.rules.excludes, &options.ignores, &options.files,
                           &options.skips, &from.renames})
    unmark(*list);
  for (auto* const text :
       {&options.before, &options.after, &options.map, &options.policy, &options.rules.select, &from.recipe})
    unmark(*text);
  if (from.close)
    options.bounds.push_back({.pattern = "*", .rtol = {}, .atol = {}, .ulp = {}, .torch_testing = true});
  add_bounds("--rtol", from.rtols, &BoundRow::rtol, options.bounds);
  add_bounds("--atol", from.atols, &BoundRow::atol, options.bounds);
  add_bounds("--ulp", from.ulps, &BoundRow::ulp, options.bounds);
  options.rules.renames = renames_of(from.renames);
  if (!from.recipe.empty() && options.as_stored)
    throw_usage("--recipe changes the layout, which --as-stored forbids", "leave one of them out");
  if (!from.recipe.empty()) options.rules.recipe = recipe_of(from.recipe, options.rules);
  options.nan_strict = from.nan == "strict";
  options.check_dtype = !from.no_check_dtype;
  return options;
}

DiffOptions finished(DiffArguments& from, const Shared& shared) {
  unmark(from.options.reports);
  unmark(from.options.save);
  for (const std::string& report : from.options.reports)
    if (!has_report_suffix(report))
      throw_usage(
          "--report " + quote(report) + ": the suffix says the form: .txt, .json, .jsonl, .md or .html",
          "--report diff.html");
  DiffOptions options = comparison_of(from);
  if (options.save_differences && options.save.empty())
    throw_usage("--save-differences needs --save", "--save m.h5 --save-differences");
  if (options.after.empty() && !options.save.empty())
    throw_usage("--save needs two checkpoints", "torchferry diff BEFORE AFTER --save m.h5");
  options.spectral = from.spectral == "all"    ? SpectralChoice::all
                     : from.spectral == "none" ? SpectralChoice::none
                                               : SpectralChoice::worst;
  options.progress = !from.no_progress;
  options.color = takes_color(stdout, shared.choice());
  options.width = terminal_width(stdout);
  return options;
}

void describe_hash(CLI::App& app, HashArguments& to) {
  CLI::App& verb =
      *app.add_subcommand("hash", "content hashes of tensors and models, whatever the container");
  verb.footer(kHashFooter);
  verb.add_option("PATH", to.options.paths, "files, folders, quoted patterns")->type_name("");
  verb.add_flag("--tensors", to.options.tensors, "a line for every tensor");
  verb.add_option("--check", to.options.check, "compare with a manifest")->type_name("MANIFEST");
  verb.add_option("--select", to.options.rules.select, "only what lies under this dotted path")
      ->type_name("PATH");
  add_list(verb, "--include", to.options.rules.includes, "only tensors whose dotted path matches")
      ->type_name("GLOB");
  add_list(verb, "--exclude", to.options.rules.excludes, "no tensors whose dotted path matches")
      ->type_name("GLOB");
  verb.add_flag("--as-stored", to.options.as_stored, "names as they are stored, not in the layout of 2.x");
  verb.add_option("-j,--jobs", to.options.jobs, "threads (default: one a processor)")
      ->check(CLI::Range(1, 4096).description(""))
      ->type_name("N");
  verb.add_flag("--json", to.options.json, "JSON on stdout");
}

HashOptions finished(HashArguments& from) {
  HashOptions& options = from.options;
  for (auto* const list : {&options.paths, &options.rules.includes, &options.rules.excludes}) unmark(*list);
  for (auto* const text : {&options.check, &options.rules.select}) unmark(*text);
  if (options.paths.empty() && options.check.empty())
    throw_usage("PATH is missing", "torchferry hash --help");
  return options;
}

}  // namespace ferry::cli
