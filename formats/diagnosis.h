// What a file is that is no checkpoint, or none that can be read: the person should hear its name, and what
// to do about it.
#pragma once

#include <optional>
#include <string>

#include "src/core/bytes.h"
#include "src/core/finding.h"

namespace ferry {

struct Diagnosis {
  Code code = Code::not_a_checkpoint;
  std::string what;  // "this is a git-lfs pointer, not the file itself; the file itself has 102,400 bytes"
  std::string hint;  // may be empty
};

// Looks at the first bytes, and at more only where a file of zeros is in question.  nullopt: nothing that is
// known, which may be a checkpoint.
std::optional<Diagnosis> diagnose(const ByteSource& source);

}  // namespace ferry
