// Pythons and where their packages lie, found without running one.
//
// An environment is a prefix with its version: python, python3 and python3.11 of one folder are one, and so
// are the names that PATH has for it through links.  A virtual environment is told by pyvenv.cfg beside or
// above the program, looked for where the link lies and not where it leads, as Python does; without one the
// prefix is the nearest folder above the program itself that holds lib/pythonX.Y.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/cli/doctor/root.h"

namespace ferry::doctor {

// What the environment of the process says about Pythons; texts may be empty.
struct Surroundings {
  std::string path, home, virtual_env, conda_prefix, pyenv_root, pyenv_version, python_path, user_base;
  bool no_user_site = false;
};
Surroundings surroundings_of_process();

struct Python {
  std::string kind;                   // "system", "venv", "conda", "pyenv"
  std::string prefix;                 // without links
  std::string version;                // "3.11.2", or "3.11" where nothing says more
  std::string series;                 // "3.11"
  std::vector<std::string> programs;  // as found; the first is the one to call; may be empty
  std::vector<std::string> found_by;  // "--python", "VIRTUAL_ENV", "CONDA_PREFIX", "folder", "PATH", "pyenv"
  std::vector<std::string> folders;   // those of its packages, in the order of sys.path
  std::string complaint;              // what is wrong with the environment itself; empty: nothing

  std::string program() const { return programs.empty() ? prefix : programs.front(); }
};

// With `named` (programs or folders of environments) those alone; else what VIRTUAL_ENV, CONDA_PREFIX, .venv
// and venv in the current folder, PATH and pyenv have, in this order.  Throws Code::no_input for a named one
// that is no Python or none whose packages can be found.
std::vector<Python> find_pythons(const Root& root, const Surroundings& around,
                                 const std::vector<std::string>& named);

}  // namespace ferry::doctor
