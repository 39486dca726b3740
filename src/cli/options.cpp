#include "src/cli/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <regex>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include "src/cli/options_parts.h"
#include "src/cli/terminal.h"
#include "src/cli/version_text.h"
#include "src/core/error.h"
#include "src/core/nearest.h"
#include "src/core/text.h"

namespace ferry::cli {
namespace {

constexpr char kAbout[] = "Carries PyTorch 1.x checkpoints into 2.x, without running a byte of them.";
constexpr char kFooter[] =
    "\nExit codes: 0 fine; 1 differs; 2 could not do it (usage, input or output, corrupt, unsupported);\n"
    "3 refused for safety, nothing was written; 130, 143 ended by a signal.  Of many files the\n"
    "worst counts.  Codes such as TF501 are explained by: torchferry explain TF501";
constexpr char kConvertFooter[] =
    "\nOne file goes to the file -o names, or into it when it is a folder.  A folder, a quoted\n"
    "pattern ('runs/**/*.pth') or several inputs go into the folder -o names: files keep their\n"
    "names and their place below the folder; of several folders each keeps its own name.\n"
    "In folders, files with the name of a checkpoint count (.pt .pth .pth.tar .ckpt ...), or\n"
    "those that --files names; links to folders are not followed.\n\n"
    "Patterns know * ? [a-z] [!a-z].  --include and --exclude are matched with the dotted path\n"
    "of a tensor, where * crosses dots; --files and --skip with the name of a file, or with its\n"
    "path below the folder when they hold a slash.";

constexpr char kRecorderFooter[] =
    "\nOne file for Python 2.7 and 3, PyTorch 1.0 to 2.x; it needs torch and numpy, and h5py for .h5:\n"
    "  torchferry recorder -o recorder.py\n"
    "  old/bin/python recorder.py --factory net.py:build --checkpoint best.pth -o best.golden.h5 \\\n"
    "    --input-spec '{\"0\": [\"float32\", [2, 3, 224, 224]]}'\n"
    "  old/bin/python recorder.py --help";

// --- Verbs

struct ConvertArguments {
  ConvertOptions options;
  std::string layout = "clean", target = "pt", shard_size;
  std::vector<std::string> renames;
  RuleArguments rules;
  std::string recipe;
  bool no_sync = false, no_verify = false, no_progress = false;
};

void describe_layout(CLI::App& verb, ConvertArguments& to) {
  verb.add_option("--recipe", to.recipe,
                  "the layout that a known project's code for 2.x reads: a name that torchferry recipe list "
                  "has, or a file of your own")
      ->type_name("NAME|FILE.toml");
  verb.add_option(
          "--layout", to.layout,
          "clean (default): the layout that code for 2.x expects; keep: change only what would not load")
      ->check(CLI::IsMember({"keep", "clean"}).description(""))
      ->type_name("keep|clean");
  verb.add_flag("--keep-prefix", to.options.rules.keep_prefix,
                "leave module. and other prefixes of wrappers on the keys");
  verb.add_option("--select", to.options.rules.select,
                  "write only what lies under this dotted path: model_state")
      ->type_name("PATH");
  add_list(verb, "--rename", to.renames,
           "rename keys of state_dicts: a regular expression and what replaces its matches, 're=sub'; the "
           "last = divides them, $1 is the first group; may be repeated")
      ->type_name("RE=SUB");
  add_list(verb, "--include", to.options.rules.includes, "keep only tensors whose dotted path matches")
      ->type_name("GLOB");
  add_list(verb, "--exclude", to.options.rules.excludes, "leave out tensors whose dotted path matches")
      ->type_name("GLOB");
}

void describe_target(CLI::App& verb, ConvertArguments& to) {
  verb.add_option(
          "--to", to.target,
          "pt (default): for PyTorch 2.x; legacy: for PyTorch 0.4 to 1.5; safetensors, hdf5, npz: named "
          "tensors, and what is none in JSON")
      ->check(CLI::IsMember({"pt", "safetensors", "hdf5", "legacy", "npz"}).description(""))
      ->type_name("pt|safetensors|hdf5|legacy|npz");
  verb.add_option("--max-shard-size", to.shard_size,
                  "split safetensors into files of at most that many bytes of tensors, with an index: 5GB")
      ->type_name("SIZE");
}

void describe_files(CLI::App& verb, ConvertArguments& to) {
  verb.add_option("SRC", to.options.places.sources, "files, folders, quoted patterns")->type_name("");
  verb.add_option("-o,--output", to.options.places.output,
                  "file for one file, folder for a folder or several")
      ->type_name("OUT");
  add_list(verb, "--files", to.options.places.files, "files in folders that count, whatever their suffix")
      ->type_name("GLOB");
  add_list(verb, "--skip", to.options.places.skips, "files in folders that do not count")->type_name("GLOB");
  verb.add_flag(
      "--salvage", to.options.salvage,
      "of a damaged or cut file write the tensors that are whole, list the lost; exit 1 if there are any");
  verb.add_flag("--force", to.options.force, "replace existing outputs, also the input itself");
  verb.add_flag("--dry-run", to.options.dry_run,
                "say what would be done, with sizes and changes; write nothing");
  verb.add_flag("--no-sync", to.no_sync, "do not wait until the disk has the data");
  verb.add_flag("--no-verify", to.no_verify, "do not read the output back");
}

void describe_run(CLI::App& verb, ConvertArguments& to) {
  verb.add_option("-j,--jobs", to.options.jobs, "threads of the whole run (default: one a processor)")
      ->check(CLI::Range(1, 4096).description(""))
      ->type_name("N");
  verb.add_option("--report", to.options.report, "also write a report: .txt, .json or .html")
      ->type_name("FILE");
  verb.add_flag("--json", to.options.json, "one JSON document on stdout");
  verb.add_flag("-v,--verbose", to.options.verbose, "every change of every file");
  verb.add_flag("-q,--quiet", to.options.quiet, "errors only");
  verb.add_flag("--no-progress", to.no_progress, "no progress line on stderr");
}

void describe_convert(CLI::App& app, ConvertArguments& to) {
  CLI::App& verb = *app.add_subcommand(
      "convert", "write checkpoints as 2.x loads them with weights_only=True, or in another format");
  verb.footer(kConvertFooter);
  describe_files(verb, to);
  describe_target(verb, to);
  describe_layout(verb, to);
  describe_rules(verb, to.rules);
  describe_run(verb, to);
}

void describe_inspect(CLI::App& app, InspectOptions& to) {
  CLI::App& verb = *app.add_subcommand("inspect", "what a file is, what is in it, and whether 2.x loads it");
  verb.add_option("PATH", to.paths, "files")->required()->type_name("");
  verb.add_flag("--tree", to.tree, "the whole tree");
  verb.add_flag("--tensors", to.tensors, "a row for every tensor");
  verb.add_flag("--globals", to.globals, "every name that the pickle mentions");
  verb.add_flag("--offsets", to.offsets, "records, and where the bytes of every storage lie");
  verb.add_flag("--code", to.code, "the source of classes that old files keep beside whole modules");
  verb.add_flag("--stats", to.stats, "minimum, maximum, mean of every tensor; reads all bytes");
  verb.add_flag("--check", to.check, "check every checksum; reads all bytes");
  verb.add_flag("--all", to.all, "summarise nothing");
  verb.add_flag("--json", to.json, "JSON on stdout");
}

void describe_explain(CLI::App& app, ExplainOptions& to) {
  CLI::App& verb =
      *app.add_subcommand("explain",
                          "what a code or a known change of PyTorch means and what to do; without one, "
                          "list all codes");
  verb.add_option("CODE", to.codes, "TF101 or 101; the id of a known change, such as interp-scale")
      ->type_name("");
  verb.add_flag("--known-changes", to.known_changes, "list all known changes of PyTorch");
  verb.add_flag("--json", to.json, "JSON on stdout");
}

void describe_recorder(CLI::App& app, RecorderOptions& to) {
  CLI::App& verb = *app.add_subcommand(
      "recorder", "the Python file that records what a model computes, for the old environment");
  verb.footer(kRecorderFooter);
  verb.add_option("-o,--output", to.output, "write it to a file (default: stdout)")->type_name("FILE");
  verb.add_flag("--force", to.force, "replace an existing file");
}

void describe_shared(CLI::App& app, Shared& to) {
  app.footer(kFooter);
  app.fallthrough();  // before the verbs are added: they inherit it
  app.require_subcommand(0, 1);
  app.set_help_flag("-h,--help", "show this help");
  app.set_version_flag("--version", version_text, "show version and features");
  app.add_option("--color", to.color, "colours: auto (default), always, never; NO_COLOR counts")
      ->check(CLI::IsMember({"auto", "always", "never"}).description(""))
      ->type_name("WHEN");
}

// --- Values that need a second look

// "5GB" as Hugging Face's libraries mean it, 5 × 10⁹; "5GiB" in powers of two; a number alone counts bytes.
std::uint64_t size_of(const std::string& text) {
  static constexpr auto kUnits =
      std::to_array<std::pair<std::string_view, std::uint64_t>>({{"", 1},
                                                                 {"b", 1},
                                                                 {"kb", 1000},
                                                                 {"mb", 1000 * 1000},
                                                                 {"gb", 1000 * 1000 * 1000},
                                                                 {"tb", 1000ull * 1000 * 1000 * 1000},
                                                                 {"kib", 1ull << 10},
                                                                 {"mib", 1ull << 20},
                                                                 {"gib", 1ull << 30},
                                                                 {"tib", 1ull << 40}});
  std::uint64_t number = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string unit(end.ptr, text.data() + text.size());
  std::transform(unit.begin(), unit.end(), unit.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  for (const auto& [name, bytes] : kUnits)
    if (unit == name && end.ec == std::errc() && number > 0 && number <= INT64_MAX / bytes)
      return number * bytes;
  throw_usage("--max-shard-size " + quote(text) + ": this is no size", "--max-shard-size 5GB");
}

TargetOptions target_of(const ConvertArguments& from) {
  TargetOptions options{target_by_name(from.target), 0};
  if (from.shard_size.empty()) return options;
  if (options.target != Target::safetensors)
    throw_usage("--max-shard-size is for --to safetensors", "--to safetensors --max-shard-size 5GB");
  options.shard_size_max = size_of(from.shard_size);
  return options;
}

ConvertOptions finished(ConvertArguments& from, const Shared& shared) {
  ConvertOptions& options = from.options;
  for (auto* const list : {&options.places.sources, &options.places.files, &options.places.skips,
                           &from.renames, &options.rules.includes, &options.rules.excludes})
    unmark(*list);
  for (auto* const text : {&options.places.output, &options.report, &options.rules.select, &from.recipe})
    unmark(*text);
  if (options.places.sources.empty()) throw_usage("SRC is required", "torchferry convert --help");
  if (options.places.output.empty()) throw_usage("--output is required", "torchferry convert --help");
  const std::string_view report = options.report;
  if (!report.empty() && !report.ends_with(".txt") && !report.ends_with(".json") &&
      !report.ends_with(".html"))
    throw_usage("--report " + quote(report) + ": the suffix says the form: .txt, .json or .html",
                "--report report.html");
  options.rules.layout = from.layout == "keep" ? convert::Layout::keep : convert::Layout::clean;
  options.rules.renames = renames_of(from.renames);
  finish_rules(from.rules, options.rules);
  options.target = target_of(from);
  options.places.rename = [target = options.target.target](std::string_view name) {
    return converted_name(name, target);
  };
  if (!from.recipe.empty()) options.rules.recipe = recipe_of(from.recipe, options.rules);
  options.sync = !from.no_sync;
  options.verify = !from.no_verify;
  options.progress = !from.no_progress;
  options.color = takes_color(stdout, shared.choice());
  return options;
}

InspectOptions finished(InspectOptions& options, const Shared& shared) {
  unmark(options.paths);
  options.color = takes_color(stdout, shared.choice());
  options.width = terminal_width(stdout);
  return options;
}

RecorderOptions finished(RecorderOptions& options) {
  unmark(options.output);
  return options;
}

// --- Messages

// CLI11 names what it met; the hint names what may have been meant.
[[noreturn]] void throw_parse_error(const CLI::App& app, const CLI::ParseError& error) {
  const auto verbs = app.get_subcommands();
  const CLI::App& verb = verbs.empty() ? app : *verbs[0];
  std::string hint = verbs.empty() ? "torchferry --help" : "torchferry " + verb.get_name() + " --help";
  std::vector<std::string> names;
  for (const CLI::App* level : {&verb, &app})
    for (const CLI::Option* option : level->get_options())
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  const bool unknown = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError);
  std::istringstream words(unknown ? error.what() : "");
  for (std::string word; words >> word;) {
    const std::string meant = word.starts_with("--") ? nearest(word.substr(0, word.find('=')), names) : "";
    if (!meant.empty()) hint = "did you mean " + meant + "?";
  }
  std::string what = error.what();
  what.erase(std::remove(what.begin(), what.end(), kMark), what.end());
  throw_usage(what, hint);
}

void refuse_unknown_verb(const CLI::App& app, const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments.back().starts_with('-')) return;
  std::vector<std::string> verbs;
  for (const CLI::App* verb : app.get_subcommands(nullptr)) verbs.push_back(verb->get_name());
  const std::string& typed = arguments.back();
  if (std::find(verbs.begin(), verbs.end(), typed) != verbs.end()) return;
  const std::string meant = nearest(typed, verbs);
  throw_usage("there is no verb " + quote(typed),
              meant.empty() ? "torchferry --help lists the verbs" : "did you mean torchferry " + meant + "?");
}

}  // namespace

Command parse_command_line(int argc, char** argv) {
  CLI::App app(kAbout, "torchferry");
  Shared shared;
  ConvertArguments convert;
  InspectOptions inspect;
  DiffArguments diff;
  ValidateArguments validate;
  HashArguments hash;
  RecipeOptions recipe;
  RecorderOptions recorder;
  ReplayOptions replay;
  DoctorOptions doctor;
  ExplainOptions explain;
  describe_shared(app, shared);
  describe_inspect(app, inspect);
  describe_convert(app, convert);
  describe_diff(app, diff);
  describe_validate(app, validate);
  describe_hash(app, hash);
  describe_recipe(app, recipe);
  describe_recorder(app, recorder);
  describe_replay(app, replay);
  describe_doctor(app, doctor);
  describe_explain(app, explain);

  std::vector<std::string> arguments = marked_arguments(argc, argv);
  refuse_unknown_verb(app, arguments);
  try {
    app.parse(arguments);
  } catch (const CLI::CallForHelp&) {
    return PrintText{app.help()};
  } catch (const CLI::CallForVersion&) {
    return PrintText{version_text()};
  } catch (const CLI::ParseError& error) {
    throw_parse_error(app, error);
  }

  if (app.got_subcommand("convert") && convert.rules.list) return ListRulesOptions{convert.options.json};
  if (app.got_subcommand("convert")) return finished(convert, shared);
  if (app.got_subcommand("inspect")) return finished(inspect, shared);
  if (app.got_subcommand("diff")) return finished(diff, shared);
  if (app.got_subcommand("validate")) return finished(validate, shared);
  if (app.got_subcommand("hash")) return finished(hash);
  if (app.got_subcommand("recipe")) return finished(recipe);
  if (app.got_subcommand("recorder")) return finished(recorder);
  if (app.got_subcommand("replay")) return finished(replay);
  if (app.got_subcommand("doctor")) return finished(doctor);
  if (app.got_subcommand("explain")) return explain;
  throw_usage("a verb is missing", "torchferry --help lists the verbs");
}

}  // namespace ferry::cli
