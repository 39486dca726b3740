#include <CLI/CLI.hpp>

#include "src/cli/options_parts.h"

namespace ferry::cli {
namespace {

constexpr char kDoctorFooter[] =
    "\nLooked at are VIRTUAL_ENV, CONDA_PREFIX, .venv and venv in the current folder, every python on\n"
    "PATH, and the versions of pyenv.  Nothing of theirs is run and nothing is imported, unless --run\n"
    "asks for it.  Exit codes: 0 fine; 1 conflicts were found; 2 could not do it.\n\n"
    "  torchferry doctor\n"
    "  torchferry doctor --python venv/bin/python --json\n"
    "  torchferry doctor --root /mnt/image";

}  // namespace

void describe_doctor(CLI::App& app, DoctorOptions& to) {
  CLI::App& verb = *app.add_subcommand(
      "doctor", "this machine: PyTorch, CUDA and ROCm found, and the packages that go with them");
  verb.footer(kDoctorFooter);
  add_list(verb, "--python", to.pythons,
           "look at this one alone: a program or the folder of an environment; may be repeated")
      ->type_name("PATH");
  verb.add_flag("--run", to.run, "also ask the Pythons, nvidia-smi and rocminfo what they see");
  verb.add_option("--time-limit", to.seconds, "seconds that each of them may take (default 60)")
      ->check(CLI::Range(1, 3600).description(""))
      ->type_name("SECONDS");
  verb.add_option("--ranges", to.ranges, "a table of package ranges to use instead of the built-in one")
      ->type_name("FILE.toml");
  verb.add_option("--root", to.root, "a folder to look at as if it were /: an image, a chroot")
      ->type_name("DIR");
  verb.add_flag("--json", to.json, "JSON on stdout");
}

DoctorOptions finished(DoctorOptions& from) {
  unmark(from.pythons);
  for (auto* const text : {&from.root, &from.ranges}) unmark(*text);
  if (from.run && from.root != "/")
    throw_usage("--run asks the programs of this machine, and --root looks at another",
                "leave one of them out");
  return from;
}

}  // namespace ferry::cli
