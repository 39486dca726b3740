// One pickle program of a checkpoint: decoded, and judged by the names in it before anything else is
// believed.
#pragma once

#include "formats/pickle/decoder.h"
#include "src/core/checkpoint.h"
#include "src/core/error.h"
#include "src/core/limits.h"

namespace ferry::torch {

// Decodes the program that starts at `begin`.  Names on no list are refused, used or not, and refusal
// outranks a program that breaks later: Code::unsafe_global names them all.
pickle::Decoded decode_program(pickle::Program program, std::size_t begin, GlobalLog& globals,
                               pickle::Dialect dialect = pickle::Dialect::python);

// Throws Code::unsafe_global with all names that may not be there; nothing when there are none.
void refuse_unsafe(const GlobalLog& globals);

// The program at `offset` of a stream in which its size is not written down; without an end, as much of it as
// is worth decoding for the names in it and for the exact complaint.
pickle::Program read_program(const ByteSource& source, std::uint64_t offset, const Limits& limits);

// Reads the program at `offset` of a stream in which its size is not written down, and decodes it.
pickle::Decoded decode_program_at(const ByteSource& source, std::uint64_t offset, const Limits& limits,
                                  GlobalLog& globals);

// The common part of the readers, after the main program was decoded into checkpoint.values: what is known of
// the pickle.
void describe_program(Checkpoint& checkpoint, pickle::Decoded decoded);

// Remarks on bytes behind the main program in its record of `size` bytes.
void note_trailing(Checkpoint& checkpoint, std::uint64_t size, std::string_view record);

}  // namespace ferry::torch
