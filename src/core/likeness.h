// Why a file is, or is not, to be read in a format: what a probe answers.
#pragma once

#include <string>

namespace ferry {

struct Likeness {
  bool matches = false;
  std::string reason;  // why, or why not, in a few words
};

}  // namespace ferry
