// What torch.load would say of a checkpoint: the facts of the formats put before the judge.
#pragma once

#include "src/core/checkpoint.h"
#include "validators/loadable/loadable.h"

namespace ferry::cli {

// Of the checkpoint as it was opened, before any rule has run.
loadable::Loadability judge_loading(const Checkpoint& checkpoint);

}  // namespace ferry::cli
