// All formats that torchferry reads, in one list, most specific first.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "src/core/checkpoint.h"
#include "src/core/limits.h"

namespace ferry {

struct Probe {
  bool matches;
  std::string reason;  // why, or why not, in a few words
};

struct Format {
  std::string_view name;
  Probe (*probe)(const ByteSource&);
  Checkpoint (*open)(SourcePtr, const Limits&);
};

std::span<const Format> formats();

// The first format that matches opens the file.  Throws Code::unsafe_global (refused), Code::unknown_format
// with every probe's reason, Code::not_a_checkpoint with the name of what the file is, and whatever the
// reader throws.
Checkpoint open_checkpoint(SourcePtr source, const Limits& limits);

}  // namespace ferry
