// A file of pairs of names: which tensor of before is which of after.
#pragma once

#include <string>

#include "validators/structure/pairing.h"

namespace ferry::cli {

// Either a JSON object {"before": "after", …}, or text: a pair a line, divided by a tab, "->", "=" or blanks;
// empty lines and those that begin with # do not count.  Throws Code::cannot_read, Code::bad_policy with the
// line.
structure::NameMap read_name_map(const std::string& path);

// The whole of a small text file.
std::string read_text(const std::string& path);

}  // namespace ferry::cli
