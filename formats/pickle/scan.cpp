#include "formats/pickle/scan.h"

#include <algorithm>
#include <cstring>

#include "src/core/error.h"

namespace ferry::pickle {
namespace {

[[noreturn]] void throw_cut(const Opcode& opcode, std::size_t at) {
  throw Error(Code::truncated, "the pickle ends inside the operand of " + std::string(opcode.name)).at(at);
}

struct Extent {
  std::size_t begin, size, next;
};

Extent line_extent(Bytes program, std::size_t begin, const Opcode& opcode, std::size_t at) {
  const void* newline =
      begin < program.size() ? std::memchr(program.data() + begin, '\n', program.size() - begin) : nullptr;
  if (newline == nullptr) throw_cut(opcode, at);
  const auto end = static_cast<std::size_t>(static_cast<const std::byte*>(newline) - program.data());
  return {begin, end - begin, end + 1};
}

Extent counted_extent(Bytes program, std::size_t begin, std::size_t width, const Opcode& opcode,
                      std::size_t at) {
  if (program.size() - begin < width) throw_cut(opcode, at);
  const std::byte* field = program.data() + begin;
  const std::uint64_t count = width == 1   ? std::to_integer<std::uint64_t>(field[0])
                              : width == 4 ? load_le<std::uint32_t>(field)
                                           : load_le<std::uint64_t>(field);
  if (opcode.operand == Operand::counted4_signed && count > 0x7fffffff)
    throw Error(Code::bad_pickle, std::string(opcode.name) + " has a negative length").at(at);
  if (count > program.size() - begin - width)
    throw Error(Code::truncated, std::string(opcode.name) + " announces " + std::to_string(count) +
                                     " bytes where " + std::to_string(program.size() - begin - width) +
                                     " are left")
        .at(at);
  return {begin + width, static_cast<std::size_t>(count), begin + width + static_cast<std::size_t>(count)};
}

}  // namespace

Instruction read_instruction(Bytes program, std::size_t at) {
  if (at >= program.size()) throw Error(Code::truncated, "the pickle ends without STOP").at(at);
  const auto byte = std::to_integer<std::uint8_t>(program[at]);
  const Opcode* opcode = kByByte[byte];
  if (opcode == nullptr)
    throw Error(Code::bad_pickle, "byte " + std::to_string(byte) + " is no pickle instruction").at(at);
  const std::size_t begin = at + 1;
  const auto fixed = [&](std::size_t size) -> Extent {
    if (program.size() - begin < size) throw_cut(*opcode, at);
    return {begin, size, begin + size};
  };
  Extent extent{begin, 0, begin};
  switch (opcode->operand) {
    case Operand::none:
      break;
    case Operand::uint1:
      extent = fixed(1);
      break;
    case Operand::uint2:
      extent = fixed(2);
      break;
    case Operand::uint4:
    case Operand::int4:
      extent = fixed(4);
      break;
    case Operand::uint8:
    case Operand::float8:
      extent = fixed(8);
      break;
    case Operand::line:
      extent = line_extent(program, begin, *opcode, at);
      break;
    case Operand::line_pair: {
      const Extent first = line_extent(program, begin, *opcode, at);
      const Extent second = line_extent(program, first.next, *opcode, at);
      extent = {begin, second.begin + second.size - begin, second.next};
      break;
    }
    case Operand::counted1:
      extent = counted_extent(program, begin, 1, *opcode, at);
      break;
    case Operand::counted4:
    case Operand::counted4_signed:
      extent = counted_extent(program, begin, 4, *opcode, at);
      break;
    case Operand::counted8:
      extent = counted_extent(program, begin, 8, *opcode, at);
      break;
  }
  return {opcode, at, extent.next, extent.begin, extent.size};
}

std::optional<std::uint64_t> find_program_size(const ByteSource& source, std::uint64_t offset,
                                               std::uint64_t size_max) {
  const std::uint64_t available = std::min(source.size() - std::min(offset, source.size()), size_max);
  // The window grows only when one instruction does not fit: usually one long string.
  std::uint64_t window = 4 << 10, done = 0;
  std::vector<std::byte> buffer;
  while (done < available) {
    const std::uint64_t size = std::min(window, available - done);
    buffer.resize(static_cast<std::size_t>(size));
    source.read_at(offset + done, buffer);
    std::size_t at = 0;
    try {
      while (at < buffer.size()) {
        const Instruction instruction = read_instruction(buffer, at);
        if (instruction.opcode->op == Op::stop) return done + instruction.next;
        at = instruction.next;
      }
    } catch (const Error& error) {
      if (error.code() != Code::truncated || size == available - done) return std::nullopt;
    }
    window = at == 0 ? window * 4 : std::min<std::uint64_t>(window * 2, 4 << 20);
    done += at;
  }
  return std::nullopt;
}

}  // namespace ferry::pickle
