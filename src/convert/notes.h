// What the reader turned into plain data, as lines of the change log.
#pragma once

#include "src/core/change_log.h"
#include "src/core/checkpoint.h"

namespace ferry::convert {

// Logs checkpoint.notes.  Notes of one code that say the same become one line with their number, their first
// paths and the path that they have in common.  `source_root` is the root as the reader left it: notes on it
// concern the whole file.  A note on a value that the root does not reach is dropped, as nothing of the value
// is written; what was lost (attributes, values) is reported without a path even then, as the note may be on
// a part that was merged into another.
void log_notes(const Checkpoint& checkpoint, NodeId source_root, ChangeLog& log);

}  // namespace ferry::convert
