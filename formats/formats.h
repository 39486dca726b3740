// All formats that torchferry reads, in one list, most specific first.
#pragma once

#include <span>
#include <string_view>

#include "formats/state/state.h"
#include "src/core/checkpoint.h"
#include "src/core/likeness.h"
#include "src/core/limits.h"

namespace ferry {

namespace torch {
struct Losses;
}

struct Format {
  std::string_view name;
  Likeness (*probe)(const ByteSource&);
  Checkpoint (*open)(SourcePtr, const Limits&);
  // The same of a damaged file; nullptr: this format has no such reader.
  Checkpoint (*salvage)(SourcePtr, const Limits&, torch::Losses&) = nullptr;
};

std::span<const Format> formats();

// The first format that matches opens the file.  Throws Code::unsafe_global (refused), Code::unknown_format
// with every probe's reason, Code::not_a_checkpoint with the name of what the file is, and whatever the
// reader throws.  `fit`: whether the state that torchferry wrote beside named tensors has to be that of these
// tensors.
Checkpoint open_checkpoint(SourcePtr source, const Limits& limits, state::Fit fit = state::Fit::exact);

}  // namespace ferry
