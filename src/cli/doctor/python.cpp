#include "src/cli/doctor/python.h"

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "src/cli/doctor/text.h"
#include "src/cli/doctor/version.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::doctor {
namespace {

constexpr std::size_t kPathLinesMax = 1000;

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(at), text.size());
    if (end > 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

void push_new(std::vector<std::string>& to, const std::string& text) {
  if (std::find(to.begin(), to.end(), text) == to.end()) to.push_back(text);
}

bool are_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// --- Names

// "3.11" of "python3.11", "3" of "python3", "" of "python"; nothing for other names.
std::optional<std::string> series_of_name(std::string_view name) {
  if (!name.starts_with("python")) return std::nullopt;
  name.remove_prefix(6);
  const std::size_t dot = name.find('.');
  if (name.empty()) return "";
  if (!are_digits(name.substr(0, dot))) return std::nullopt;
  if (dot != std::string_view::npos && !are_digits(name.substr(dot + 1))) return std::nullopt;
  return std::string(name);
}

// "3.11.2" → "3.11"; nothing where there are fewer than two numbers.
std::optional<std::string> series_of_version(std::string_view version) {
  const auto parsed = parse_version(version);
  if (!parsed || parsed->release.size() < 2) return std::nullopt;
  return parsed->release[0] + "." + parsed->release[1];
}

// Versions in their order, then what is no version.
bool is_earlier(const std::string& a, const std::string& b) {
  const auto a_version = parse_version(a), b_version = parse_version(b);
  if (a_version && b_version) return compare(*a_version, *b_version) < 0;
  if (a_version || b_version) return a_version.has_value();
  return a < b;
}

// --- Libraries below a prefix

constexpr std::string_view kLibraries[] = {"lib", "lib64"};

bool is_library(const Root& root, const std::string& folder) {
  return root.is_file(joined(folder, "os.py")) || root.is_file(joined(folder, "os.pyc")) ||
         root.is_folder(joined(folder, "site-packages"));
}

// The series whose library lies below the prefix and whose name begins with `wanted` ("3.11", "3", ""); the
// latest of several.
std::optional<std::string> series_below(const Root& root, const std::string& prefix,
                                        const std::string& wanted) {
  std::optional<std::string> best;
  for (const std::string_view library : kLibraries)
    for (const std::string& name : root.list(joined(prefix, library))) {
      const auto series = series_of_name(name);
      if (!series || series->find('.') == std::string::npos) continue;
      if (!wanted.empty() && *series != wanted && !series->starts_with(wanted + ".")) continue;
      if (!is_library(root, joined(joined(prefix, library), name))) continue;
      if (!best || is_earlier(*best, *series)) best = *series;
    }
  return best;
}

// --- Virtual environments

struct Settings {
  std::string home, version;
  bool system_packages = false;
};

// pyvenv.cfg: "key = value" lines, written by venv, virtualenv (version_info) and uv.
std::optional<Settings> read_settings(const Root& root, const std::string& prefix) {
  const auto text = root.read(joined(prefix, "pyvenv.cfg"), 1 << 16);
  if (!text) return std::nullopt;
  Settings settings;
  for (const std::string& line : split(*text, '\n')) {
    const std::size_t equals = line.find('=');
    if (equals == std::string::npos) continue;
    const std::string_view key = trimmed(std::string_view(line).substr(0, equals));
    const std::string value(trimmed(std::string_view(line).substr(equals + 1)));
    if (key == "home") settings.home = value;
    if (key == "version" || (key == "version_info" && settings.version.empty())) settings.version = value;
    if (key == "include-system-site-packages") settings.system_packages = value == "true" || value == "True";
  }
  // virtualenv writes 3.11.2.final.0, which is no version of PEP 440.
  const std::vector<std::string> numbers = split(settings.version, '.');
  if (numbers.size() > 3) settings.version = numbers[0] + "." + numbers[1] + "." + numbers[2];
  return settings;
}

// --- The search

class Search {
 public:
  Search(const Root& root, const Surroundings& around) : root_(root), around_(around) {}

  // True when there is an environment whose packages can be found.
  bool add_program(const std::string& path, const std::string& found_by);
  bool add_folder(const std::string& prefix, const std::string& found_by);
  void add_path();
  void add_pyenv();
  std::vector<Python> take();

 private:
  struct Place {
    std::string prefix, series, version;
    bool is_virtual = false;
    Settings settings;
  };

  std::optional<Place> place_of_folder(const std::string& prefix, const std::string& wanted) const;
  std::optional<Place> place_of_program(const std::string& path) const;
  std::optional<Place> place_above(const std::string& program) const;
  bool is_shim(const std::string& path) const;
  std::string pyenv_root() const;
  std::string pyenv_choice() const;
  std::string full_version(const Place& place) const;
  std::string kind_of(const Place& place) const;
  Python& python_at(const Place& place);
  std::vector<std::string> folders_of(const Place& place) const;
  void push_site(std::vector<std::string>& to, const std::string& folder) const;
  void push_prefix(std::vector<std::string>& to, const std::string& prefix, const std::string& series) const;
  void push_user_site(std::vector<std::string>& to, const std::string& series) const;

  const Root& root_;
  const Surroundings& around_;
  std::vector<Python> found_;
};

std::optional<Search::Place> Search::place_of_folder(const std::string& prefix,
                                                     const std::string& wanted) const {
  const auto real = root_.resolve(prefix);
  if (!real) return std::nullopt;
  Place place;
  place.prefix = *real;
  if (auto settings = read_settings(root_, *real)) {
    place.is_virtual = true;
    place.settings = *std::move(settings);
    place.version = place.settings.version;
  }
  auto series = series_of_version(place.version);
  if (!series) series = series_below(root_, *real, wanted);
  if (!series) return std::nullopt;
  place.series = *series;
  place.version = full_version(place);
  return place;
}

std::optional<Search::Place> Search::place_above(const std::string& program) const {
  const std::string wanted = series_of_name(name_of(program)).value_or("");
  for (std::string folder = parent_of(program);; folder = parent_of(folder)) {
    if (series_below(root_, folder, wanted)) return place_of_folder(folder, wanted);
    if (folder == "/") return std::nullopt;
  }
}

std::optional<Search::Place> Search::place_of_program(const std::string& path) const {
  for (const std::string& folder : {parent_of(path), parent_of(parent_of(path))})
    if (root_.is_file(joined(folder, "pyvenv.cfg"))) return place_of_folder(folder, "");
  const auto real = root_.resolve(path);
  return real ? place_above(*real) : std::nullopt;
}

// pyenv, asdf and others put scripts on PATH that choose a Python when they run; which one pyenv's choose its
// files say.
bool Search::is_shim(const std::string& path) const {
  const auto front = root_.read(path, 2);
  return front && *front == "#!";
}

std::string Search::pyenv_root() const {
  if (!around_.pyenv_root.empty()) return around_.pyenv_root;
  return around_.home.empty() ? "" : joined(around_.home, ".pyenv");
}

// The folder of the version that PYENV_VERSION, the nearest .python-version or pyenv's own file names; "3.11"
// means the latest 3.11.x.  Empty where there is none.
std::string Search::pyenv_choice() const {
  const std::string versions = joined(pyenv_root(), "versions");
  std::string said = around_.pyenv_version;
  for (std::string folder = root_.current(); said.empty(); folder = parent_of(folder)) {
    said = root_.read(joined(folder, ".python-version"), 4096).value_or("");
    if (folder == "/") break;
  }
  if (said.empty()) said = root_.read(joined(pyenv_root(), "version"), 4096).value_or("");
  const std::string name(trimmed(std::string_view(said).substr(0, said.find_first_of(":\n"))));
  if (name.empty() || name.find('/') != std::string::npos) return "";
  if (root_.is_folder(joined(versions, name))) return joined(versions, name);
  std::string latest;
  for (const std::string& version : root_.list(versions))
    if (version.starts_with(name + ".") && (latest.empty() || is_earlier(latest, version))) latest = version;
  return latest.empty() ? "" : joined(versions, latest);
}

// Python's own header knows the patch level, where it is installed.
std::string Search::full_version(const Place& place) const {
  if (!place.version.empty()) return place.version;
  const auto header =
      root_.read(joined(place.prefix, "include/python" + place.series + "/patchlevel.h"), 1 << 16);
  constexpr std::string_view kVersionLine = "#define PY_VERSION";
  const std::size_t mark = header ? header->find(kVersionLine) : std::string::npos;
  if (mark == std::string::npos) return place.series;
  const std::string_view rest = std::string_view(*header).substr(mark + kVersionLine.size());
  const std::vector<std::string> words = split(rest.substr(0, rest.find('\n')), '"');
  const std::string text = words.size() > 1 ? words[1] : "";
  return series_of_version(text) == place.series ? text : place.series;
}

std::string Search::kind_of(const Place& place) const {
  if (place.is_virtual) return "venv";
  if (root_.is_folder(joined(place.prefix, "conda-meta"))) return "conda";
  const auto pyenv = root_.resolve(pyenv_root());
  return pyenv && place.prefix.starts_with(*pyenv + "/versions/") ? "pyenv" : "system";
}

// --- sys.path

// A folder of packages, and those that its .pth files add.
void Search::push_site(std::vector<std::string>& to, const std::string& folder) const {
  const auto real = root_.resolve(folder);
  if (!real || !root_.is_folder(*real) || std::find(to.begin(), to.end(), *real) != to.end()) return;
  to.push_back(*real);
  std::size_t lines_left = kPathLinesMax;
  for (const std::string& name : root_.list(*real)) {
    if (!name.ends_with(".pth") || name.starts_with('.')) continue;
    for (const std::string& line : split(root_.read(joined(*real, name)).value_or(""), '\n')) {
      const std::string_view text = trimmed(line);
      if (text.empty() || text.starts_with('#') || text.starts_with("import ")) continue;
      if (lines_left-- == 0) return;
      const auto added = root_.resolve(joined(*real, text));
      if (added && root_.is_folder(*added)) push_new(to, *added);
    }
  }
}

void Search::push_prefix(std::vector<std::string>& to, const std::string& prefix,
                         const std::string& series) const {
  // Debian keeps what its own tools install apart; only its /usr has these folders.
  if (prefix == "/usr") {
    push_site(to, "/usr/local/lib/python" + series + "/dist-packages");
    push_site(to, "/usr/lib/python" + series.substr(0, series.find('.')) + "/dist-packages");
    push_site(to, "/usr/lib/python" + series + "/dist-packages");
  }
  for (const std::string_view library : kLibraries)
    push_site(to, joined(joined(prefix, library), "python" + series + "/site-packages"));
}

void Search::push_user_site(std::vector<std::string>& to, const std::string& series) const {
  if (around_.no_user_site) return;
  std::string base = around_.user_base;
  if (base.empty() && !around_.home.empty()) base = joined(around_.home, ".local");
  if (!base.empty()) push_site(to, joined(base, "lib/python" + series + "/site-packages"));
}

std::vector<std::string> Search::folders_of(const Place& place) const {
  std::vector<std::string> folders;
  for (const std::string& folder : split(around_.python_path, ':')) {
    const auto real = root_.resolve(folder);
    if (real && root_.is_folder(*real)) push_new(folders, *real);
  }
  if (!place.is_virtual || place.settings.system_packages) push_user_site(folders, place.series);
  push_prefix(folders, place.prefix, place.series);
  if (place.settings.system_packages && !place.settings.home.empty()) {
    const auto base = place_above(joined(place.settings.home, "python" + place.series));
    if (base) push_prefix(folders, base->prefix, place.series);
  }
  return folders;
}

// --- Adding

Python& Search::python_at(const Place& place) {
  for (Python& python : found_)
    if (python.prefix == place.prefix && python.series == place.series) return python;
  Python python;
  python.kind = kind_of(place);
  python.prefix = place.prefix;
  python.version = place.version;
  python.series = place.series;
  python.folders = folders_of(place);
  found_.push_back(std::move(python));
  return found_.back();
}

bool Search::add_program(const std::string& path, const std::string& found_by) {
  if (!root_.is_program(path)) return false;
  if (!pyenv_root().empty() && parent_of(path) == joined(pyenv_root(), "shims")) {
    const std::string choice = pyenv_choice();
    return !choice.empty() && add_folder(choice, found_by);
  }
  const auto place = place_of_program(path);
  if (!place || (is_shim(path) && !place->is_virtual)) return false;
  Python& python = python_at(*place);
  push_new(python.programs, path);
  push_new(python.found_by, found_by);
  return true;
}

bool Search::add_folder(const std::string& prefix, const std::string& found_by) {
  const auto place = place_of_folder(prefix, "");
  if (!place) return false;
  Python& python = python_at(*place);
  push_new(python.found_by, found_by);
  for (const std::string& name : {std::string("python"), "python" + place->series, std::string("python3")}) {
    const std::string program = joined(joined(prefix, "bin"), name);
    if (root_.is_program(program)) {
      push_new(python.programs, program);
      return true;
    }
    if (root_.is_link(program) && python.complaint.empty())
      python.complaint = program + " leads to a Python that is not there";
  }
  return true;
}

void Search::add_path() {
  for (const std::string& folder : split(around_.path, ':')) {
    if (!folder.starts_with('/')) continue;
    for (const std::string& name : root_.list(folder))
      if (series_of_name(name)) add_program(joined(folder, name), "PATH");
  }
}

void Search::add_pyenv() {
  const std::string pyenv = pyenv_root();
  if (pyenv.empty()) return;
  std::vector<std::string> names = root_.list(joined(pyenv, "versions"));
  std::sort(names.begin(), names.end(), is_earlier);
  for (const std::string& name : names) add_folder(joined(joined(pyenv, "versions"), name), "pyenv");
}

std::vector<Python> Search::take() { return std::move(found_); }

}  // namespace

Surroundings surroundings_of_process() {
  Surroundings around;
  around.path = text_of_environment("PATH");
  around.home = text_of_environment("HOME");
  around.virtual_env = text_of_environment("VIRTUAL_ENV");
  around.conda_prefix = text_of_environment("CONDA_PREFIX");
  around.pyenv_root = text_of_environment("PYENV_ROOT");
  around.pyenv_version = text_of_environment("PYENV_VERSION");
  around.python_path = text_of_environment("PYTHONPATH");
  around.user_base = text_of_environment("PYTHONUSERBASE");
  around.no_user_site = !text_of_environment("PYTHONNOUSERSITE").empty();
  return around;
}

std::vector<Python> find_pythons(const Root& root, const Surroundings& around,
                                 const std::vector<std::string>& named) {
  Search search(root, around);
  for (const std::string& name : named) {
    const std::string path = joined(root.current(), name);
    if (!root.resolve(path) && !root.is_link(path))
      throw Error(Code::cannot_read, "there is no such file").of(name);
    const bool found =
        root.is_folder(path) ? search.add_folder(path, "--python") : search.add_program(path, "--python");
    if (!found)
      throw Error(Code::no_input, "this is no Python whose packages can be found")
          .of(name)
          .with_hint("name the program (venv/bin/python) or the folder of the environment");
  }
  if (!named.empty()) return search.take();
  if (!around.virtual_env.empty()) search.add_folder(around.virtual_env, "VIRTUAL_ENV");
  if (!around.conda_prefix.empty()) search.add_folder(around.conda_prefix, "CONDA_PREFIX");
  for (const std::string_view name : {".venv", "venv"}) {
    const std::string folder = joined(root.current(), name);
    if (root.is_file(joined(folder, "pyvenv.cfg"))) search.add_folder(folder, "folder");
  }
  search.add_path();
  search.add_pyenv();
  return search.take();
}

}  // namespace ferry::doctor
