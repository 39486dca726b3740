#include "formats/pickle/disassemble.h"

#include <bit>
#include <cstdio>

#include "formats/pickle/scan.h"
#include "src/core/text.h"

namespace ferry::pickle {
namespace {

constexpr std::size_t kShownMost = 60;  // characters of an operand

std::uint64_t unsigned_of(Bytes operand) {
  std::uint64_t value = 0;
  for (std::size_t i = operand.size(); i-- > 0;)
    value = value << 8 | std::to_integer<std::uint64_t>(operand[i]);
  return value;
}

double real_of(Bytes operand) {
  std::uint64_t bits = 0;
  for (const std::byte byte : operand) bits = bits << 8 | std::to_integer<std::uint64_t>(byte);
  return std::bit_cast<double>(bits);
}

std::string operand_text(const Instruction& instruction, Bytes operand) {
  switch (instruction.opcode->operand) {
    case Operand::none:
      return "";
    case Operand::uint1:
    case Operand::uint2:
    case Operand::uint4:
    case Operand::uint8:
      return std::to_string(unsigned_of(operand));
    case Operand::int4:
      return std::to_string(static_cast<std::int32_t>(unsigned_of(operand)));
    case Operand::float8:
      return ferry::real_text(real_of(operand));
    case Operand::line_pair: {
      std::string names(as_text(operand));
      names[names.find('\n')] = ' ';
      return quote(names, kShownMost);
    }
    default:
      return quote(as_text(operand), kShownMost);
  }
}

}  // namespace

void disassemble(Bytes program, const std::function<void(std::string_view)>& line) {
  for (std::size_t at = 0;;) {
    const Instruction instruction = read_instruction(program, at);
    char head[64];
    std::snprintf(head, sizeof head, "%8zu: %-16s", at, std::string(instruction.opcode->name).c_str());
    std::string text = head + operand_text(instruction, program.subspan(instruction.operand_begin,
                                                                        instruction.operand_size));
    while (text.back() == ' ') text.pop_back();
    line(text);
    if (instruction.opcode->op == Op::stop) return;
    at = instruction.next;
  }
}

}  // namespace ferry::pickle
