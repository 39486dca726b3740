#include "validators/replay/symbols.h"

#include <array>
#include <cmath>

#include "src/core/checked.h"
#include "src/core/error.h"

namespace ferry::replay {
namespace {

struct SymbolRow {
  std::string_view target;
  Symbol symbol;
  std::size_t operands;
};

constexpr auto kRows = std::to_array<SymbolRow>({
    {"_operator.add", Symbol::add, 2},
    {"_operator.sub", Symbol::sub, 2},
    {"_operator.mul", Symbol::mul, 2},
    {"_operator.floordiv", Symbol::floordiv, 2},
    {"_operator.truediv", Symbol::truediv, 2},
    {"_operator.mod", Symbol::mod, 2},
    {"_operator.pow", Symbol::pow, 2},
    {"_operator.neg", Symbol::neg, 1},
    {"_operator.pos", Symbol::pos, 1},
    {"_operator.eq", Symbol::eq, 2},
    {"_operator.ne", Symbol::ne, 2},
    {"_operator.lt", Symbol::lt, 2},
    {"_operator.le", Symbol::le, 2},
    {"_operator.gt", Symbol::gt, 2},
    {"_operator.ge", Symbol::ge, 2},
    {"_operator.and_", Symbol::bit_and, 2},
    {"_operator.or_", Symbol::bit_or, 2},
    {"_operator.lshift", Symbol::shift_left, 2},
    {"_operator.rshift", Symbol::shift_right, 2},
    {"math.trunc", Symbol::truncate, 1},
    {"math.floor", Symbol::floor, 1},
    {"math.ceil", Symbol::ceil, 1},
    {"torch.sym_int", Symbol::to_int, 1},
    {"torch.sym_float", Symbol::to_float, 1},
    {"torch.sym_not", Symbol::negate, 1},
    {"torch.sym_ite", Symbol::choose, 3},
    {"torch.sym_max", Symbol::max, 2},
    {"torch.sym_min", Symbol::min, 2},
    {"torch.sym_sqrt", Symbol::sqrt, 1},
    {"torch._sym_sqrt", Symbol::sqrt, 1},
});

[[noreturn]] void fail(const char* what) { throw Error(Code::model_failed, what); }

template <typename T>
T sure(std::optional<T> value) {
  if (!value) fail("the arithmetic of sizes overflows");
  return *value;
}

bool is_integer(const c10::IValue& value) { return value.isInt() || value.isBool(); }

std::int64_t integer(const c10::IValue& value) {
  if (value.isBool()) return value.toBool() ? 1 : 0;
  if (!value.isInt()) fail("a size is not an integer");
  return value.toInt();
}

double real(const c10::IValue& value) {
  if (value.isDouble()) return value.toDouble();
  return static_cast<double>(integer(value));
}

bool truth(const c10::IValue& value) {
  return value.isDouble() ? value.toDouble() != 0 : integer(value) != 0;
}

// Python rounds quotients down, whatever the signs.
std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  if (b == 0) fail("a size is divided by zero");
  if (b == -1) return sure(checked_mul(a, -1));
  const std::int64_t quotient = a / b;
  return quotient - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

std::int64_t power(std::int64_t base, std::int64_t exponent) {
  std::int64_t result = 1;
  for (std::int64_t i = 0; i < exponent && i < 64; ++i) result = sure(checked_mul(result, base));
  if (exponent >= 64 && base != 0 && base != 1 && base != -1) fail("the arithmetic of sizes overflows");
  if (base == -1) return exponent % 2 == 0 ? 1 : -1;
  return result;
}

std::int64_t rounded(double value) {
  if (!(value >= -9.2e18 && value <= 9.2e18)) fail("a number does not fit in a size");
  return static_cast<std::int64_t>(value);
}

c10::IValue on_integers(Symbol symbol, std::int64_t a, std::int64_t b) {
  switch (symbol) {
    case Symbol::add:
      return sure(checked_add(a, b));
    case Symbol::sub: {
      std::int64_t result = 0;
      if (__builtin_sub_overflow(a, b, &result)) fail("the arithmetic of sizes overflows");
      return result;
    }
    case Symbol::mul:
      return sure(checked_mul(a, b));
    case Symbol::floordiv:
      return floor_divide(a, b);
    case Symbol::truediv:
      if (b == 0) fail("a size is divided by zero");
      return static_cast<double>(a) / static_cast<double>(b);
    case Symbol::mod:
      return a - floor_divide(a, b) * b;
    case Symbol::pow:
      if (b < 0) return std::pow(static_cast<double>(a), static_cast<double>(b));
      return power(a, b);
    case Symbol::bit_and:
      return a & b;
    case Symbol::bit_or:
      return a | b;
    case Symbol::shift_left:
      if (b < 0 || b > 62) fail("a size is shifted too far");
      return sure(checked_mul(a, std::int64_t{1} << b));
    case Symbol::shift_right:
      if (b < 0) fail("a size is shifted too far");
      return b > 62 ? (a < 0 ? -1 : 0) : a >> b;
    case Symbol::max:
      return std::max(a, b);
    case Symbol::min:
      return std::min(a, b);
    default:
      fail("an operator on sizes is not known");
  }
}

c10::IValue on_reals(Symbol symbol, double a, double b) {
  switch (symbol) {
    case Symbol::add:
      return a + b;
    case Symbol::sub:
      return a - b;
    case Symbol::mul:
      return a * b;
    case Symbol::truediv:
      if (b == 0) fail("a size is divided by zero");
      return a / b;
    case Symbol::floordiv:
      if (b == 0) fail("a size is divided by zero");
      return std::floor(a / b);
    case Symbol::mod:
      if (b == 0) fail("a size is divided by zero");
      return a - std::floor(a / b) * b;
    case Symbol::pow:
      return std::pow(a, b);
    case Symbol::max:
      return std::max(a, b);
    case Symbol::min:
      return std::min(a, b);
    default:
      fail("an operator on sizes is not known");
  }
}

template <typename T>
bool compare(Symbol symbol, T a, T b) {
  switch (symbol) {
    case Symbol::eq:
      return a == b;
    case Symbol::ne:
      return a != b;
    case Symbol::lt:
      return a < b;
    case Symbol::le:
      return a <= b;
    case Symbol::gt:
      return a > b;
    default:
      return a >= b;
  }
}

c10::IValue on_one(Symbol symbol, const c10::IValue& a) {
  switch (symbol) {
    case Symbol::neg:
      return is_integer(a) ? c10::IValue(sure(checked_mul(integer(a), -1))) : c10::IValue(-real(a));
    case Symbol::pos:
      return a;
    case Symbol::negate:
      return !truth(a);
    case Symbol::to_float:
      return real(a);
    case Symbol::sqrt:
      return std::sqrt(real(a));
    case Symbol::floor:
      return is_integer(a) ? integer(a) : rounded(std::floor(real(a)));
    case Symbol::ceil:
      return is_integer(a) ? integer(a) : rounded(std::ceil(real(a)));
    default:  // truncate, to_int
      return is_integer(a) ? integer(a) : rounded(std::trunc(real(a)));
  }
}

std::size_t operand_count(Symbol symbol) {
  for (const SymbolRow& row : kRows)
    if (row.symbol == symbol) return row.operands;
  return 0;
}

}  // namespace

Symbol symbol_of(std::string_view target) {
  for (const SymbolRow& row : kRows)
    if (row.target == target) return row.symbol;
  return Symbol::none;
}

c10::IValue evaluate(Symbol symbol, std::span<const c10::IValue> operands) {
  if (operands.size() != operand_count(symbol) || operands.empty())
    fail("an operator on sizes has the wrong number of operands");
  for (const c10::IValue& operand : operands)
    if (!is_integer(operand) && !operand.isDouble()) fail("an operator on sizes was given something else");
  if (symbol == Symbol::choose) return truth(operands[0]) ? operands[1] : operands[2];
  if (operands.size() == 1) return on_one(symbol, operands[0]);
  const c10::IValue &a = operands[0], &b = operands[1];
  const bool integers = is_integer(a) && is_integer(b);
  if (symbol >= Symbol::eq && symbol <= Symbol::ge)
    return integers ? compare(symbol, integer(a), integer(b)) : compare(symbol, real(a), real(b));
  // `and` and `or` of truth values are truth values.
  if (a.isBool() && b.isBool() && symbol == Symbol::bit_and) return a.toBool() && b.toBool();
  if (a.isBool() && b.isBool() && symbol == Symbol::bit_or) return a.toBool() || b.toBool();
  return integers ? on_integers(symbol, integer(a), integer(b)) : on_reals(symbol, real(a), real(b));
}

}  // namespace ferry::replay
