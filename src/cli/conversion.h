// What a conversion was asked to change, kept in the provenance record of what it wrote: diff asks the same
// of the source before it compares the two.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/convert/rule.h"
#include "src/core/checkpoint.h"

namespace ferry::cli {

// The options that decide what a file holds beyond its layout, as on the command line: --select, --include,
// --exclude, --rename, --recipe, --fix, --without, --amp drop, --static-scale frozen,
// --fp32-masters. Nothing where one of them is no UTF-8, as all of the record must be.
std::vector<std::string> options_for_record(const convert::RuleOptions& rules);

// Of a file that a conversion with such options wrote; nothing of others, and where an option is unknown
// here.
struct Conversion {
  std::uint64_t source_size = 0;
  // The renames say that there were some, and must not be applied: a regular expression from a file could
  // take for ever.
  convert::RuleOptions asked;
};
std::optional<Conversion> conversion_that_made(const Checkpoint& checkpoint);

}  // namespace ferry::cli
