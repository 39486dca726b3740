// Values as the pickle program of a checkpoint, within what torch.load(weights_only=True) of every 2.x
// accepts: protocol 2, its instructions, its names.
#pragma once

#include <cstdint>
#include <vector>

#include "src/core/checkpoint.h"

namespace ferry::torch {

enum class Dialect : std::uint8_t {
  zip,     // of 2.x: persistent ids of five parts
  legacy,  // of 0.4 … 1.5, on Python 2 and 3: six parts, builtins under the name that both know
};

struct EncodedProgram {
  std::vector<std::byte> bytes;
  // Storages in the order in which the program names them; storage_order[k] has key "k" in the file.
  std::vector<std::uint32_t> storage_order;
};

// Shared values are written once and referred to after that; cycles through lists and dicts are kept.
// Throws Code::unsupported_value for what the target cannot hold (a tuple that holds itself, huge integers).
EncodedProgram encode(const Checkpoint& checkpoint, Dialect dialect = Dialect::zip);

}  // namespace ferry::torch
