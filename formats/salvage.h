// What is whole of a file that is damaged or cut.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/core/change_log.h"
#include "src/core/checkpoint.h"
#include "src/core/error.h"
#include "src/core/limits.h"

namespace ferry {

struct Salvage {
  Checkpoint checkpoint;           // without what is lost
  ChangeLog losses;                // Code::tensor_lost and value_lost, each with its path and why
  std::vector<std::string> whole;  // paths of the tensors that are left
  std::uint64_t tensors = 0;       // that are whole, and that are not; one with several names counts once
  std::uint64_t lost = 0;
  std::string story;  // how much is whole and where it breaks, as the container has it; empty: all is whole
};

// Opens a zip archive of torch.save, a legacy stream or a legacy tar, and leaves out every tensor whose
// storage is not as it was written: the entry of a dict is gone; in a list or tuple None stands in its place,
// so that the others keep theirs.  Never a zero for a lost number.  Any other format is opened as it always
// is. Throws what open_checkpoint throws, refusals before all else, and Code::truncated where nothing is
// left.
Salvage salvage_checkpoint(SourcePtr source, const Limits& limits);

// Adds to an error of damage how much of the file is whole, where it breaks and what --salvage would write.
// Throws Fault::refused when what is left names what it may not: that outranks the damage.
void explain_damage(const SourcePtr& source, const Limits& limits, Error& error);

}  // namespace ferry
