// Instruction by instruction over a pickle program: where each one is, what follows it, where the program
// ends. It knows lengths only, so that it costs nothing but a walk; what instructions mean is the decoder's
// business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "formats/pickle/opcodes.h"
#include "src/core/bytes.h"

namespace ferry::pickle {

struct Instruction {
  const Opcode* opcode;
  std::size_t at;    // of the instruction byte
  std::size_t next;  // of the instruction after it
  // The bytes of the operand without length fields and newlines; of a line pair, both lines with the newline
  // between.
  std::size_t operand_begin;
  std::size_t operand_size;
};

// Reads the instruction at `at`.  Throws Code::bad_pickle (unknown byte, negative length) and Code::truncated
// (the operand reaches beyond the program), with the place.
Instruction read_instruction(Bytes program, std::size_t at);

// The size in bytes, STOP included, of the program that starts at `offset` of a source; reads it once, in
// windows. nullopt when there is no STOP before the end or before `size_max` bytes, or a byte is no
// instruction.
std::optional<std::uint64_t> find_program_size(const ByteSource& source, std::uint64_t offset,
                                               std::uint64_t size_max);

}  // namespace ferry::pickle
