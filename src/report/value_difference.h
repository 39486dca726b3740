// Two values side by side, so that what differs is seen.
#pragma once

#include <string>

#include "src/core/checkpoint.h"

namespace ferry::report {

struct ValueTexts {
  std::string before, after;
};

// Both as preview() shows them where they are short; of long texts, bytes, integers and containers what
// stands around the first place where they differ, bytes and integers of many digits in hexadecimal.  Where
// the texts are the same all the same, the types are named.  On one line each, safe to print.
ValueTexts difference_texts(const Checkpoint& before, NodeId mine, const Checkpoint& after, NodeId other);

}  // namespace ferry::report
