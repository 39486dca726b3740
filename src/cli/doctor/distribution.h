// Installed packages as pip's metadata describes them: dist-info and egg-info, read as text.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/cli/doctor/root.h"

namespace ferry::doctor {

// The name that all spellings of a project share: "Huggingface_Hub" → "huggingface-hub" (PEP 503).
std::string normalized_name(std::string_view name);

// "huggingface-hub (>=0.23,<1.0) ; extra == 'torch'".
struct Requirement {
  std::string name;          // normalized
  std::string specifiers;    // as written, without parentheses
  bool conditional = false;  // it has a marker; whether that holds is for Python to say
};
std::optional<Requirement> parse_requirement(std::string_view text);

struct Distribution {
  std::string name;      // normalized
  std::string version;   // as its metadata says; from the name of the folder where they say nothing
  std::string metadata;  // the folder or file that describes it
  std::vector<Requirement> requirements;
  std::string complaint;  // what is wrong with the metadata; empty: nothing
};

// The distributions among `names` (normalized) in the folders of sys.path.  Of several with one name the
// first folder counts, as in Python; within one folder the highest version, and `complaint` says so.
std::vector<Distribution> find_distributions(const Root& root, std::span<const std::string> folders,
                                             std::span<const std::string> names);

}  // namespace ferry::doctor
