// Where two runs part: the first record, in the order in which modules returned.
//
// Children return before their parents, so a parent whose child diverges is never the first.  What a module
// does between its children shows in the first child after it, or in the module itself when it has none left:
// hence the enclosing module is named too.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "validators/forward/judge_row.h"

namespace ferry::forward {

// Of the records of one kind (modules or operations) of all cases.  `names` are those of the cases.
std::optional<FirstDivergence> first_divergence(std::span<const Measured> records, const Scales& scales,
                                                const Method& method, RecordKind kind,
                                                const std::vector<CasePair>& cases);

// Classes of modules where the change may be: of the first one, of the one around it, of those inside it.
std::vector<std::string> classes_near(std::span<const Measured> records, const FirstDivergence& first);

}  // namespace ferry::forward
