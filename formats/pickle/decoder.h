// Runs a pickle program of protocol 0 to 5 into an inert ValueGraph.
//
// The interpreter knows Python's bytes, not PyTorch, and runs nothing: a GLOBAL is two strings, a REDUCE is
// the record of a call that never happens.  Marks are positions on a stack of their own, so no value can
// impersonate one.  Everything is iterative; work and memory are linear in the size of the program, whatever
// it claims.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "src/core/globals.h"
#include "src/core/value.h"

namespace ferry::pickle {

using Program = std::shared_ptr<const std::vector<std::byte>>;

struct Decoded {
  ValueGraph graph;
  Program program;                           // the same
  std::size_t size = 0;                      // bytes read, STOP included
  std::uint8_t protocol = 0;                 // of the last PROTO; 0 when there is none
  std::array<std::uint32_t, 256> opcodes{};  // how often each instruction byte ran
};

// Who wrote the program.
enum class Dialect : std::uint8_t {
  python,
  torchscript,  // writes the value of an Enum as the arguments of its class, not as a tuple of it
};

// Decodes the program that starts at `begin`.  Names are noted in `globals` at the moment they are resolved,
// so that they are known also when the program breaks later.  Repeated keys are merged as Python merges them.
// Throws Code::bad_pickle, Code::truncated with the byte offset.
Decoded decode(Program program, std::size_t begin, GlobalLog& globals, Dialect dialect = Dialect::python);

}  // namespace ferry::pickle
