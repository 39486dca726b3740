// Arithmetic on sizes as Python does it: what operators.* and torch.sym_* mean for numbers.
#pragma once

#include <ATen/core/ivalue.h>

#include <cstdint>
#include <span>
#include <string_view>

namespace ferry::replay {

enum class Symbol : std::uint8_t {
  none,
  add,
  sub,
  mul,
  floordiv,
  truediv,
  mod,
  pow,
  neg,
  pos,
  eq,
  ne,
  lt,
  le,
  gt,
  ge,
  bit_and,
  bit_or,
  shift_left,
  shift_right,
  truncate,
  floor,
  ceil,
  to_int,
  to_float,
  negate,
  choose,
  max,
  min,
  sqrt
};

// Symbol::none for a target that is not known.
Symbol symbol_of(std::string_view target);

// Throws ferry::Error with Code::model_failed for a division by zero, an overflow or operands that do not
// fit.
c10::IValue evaluate(Symbol symbol, std::span<const c10::IValue> operands);

}  // namespace ferry::replay
