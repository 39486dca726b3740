#include <vector>

#include "src/convert/renamer.h"
#include "src/convert/rules/apply.h"
#include "src/convert/wording.h"

namespace ferry::convert {

void rename_keys(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log) {
  if (options.renames.empty()) return;
  Renamer renamer(checkpoint.values, options.renames);
  for (const auto& [dict, path] : state_dicts_of(checkpoint.values))
    if (const std::size_t count = renamer.rename(dict, path); count != 0)
      log.add(Code::renamed, path, counted(count, "key") + " renamed");
}

}  // namespace ferry::convert
