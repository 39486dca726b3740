// The 68 instructions of pickle protocols 0 to 5: one row each, from which decoder, encoder, disassembler and
// the search for the end of a program take what they need.
//
// Source: CPython's Lib/pickletools.py and Modules/_pickle.c (3.13); PEP 307 (protocol 2), 3154 (4), 574 (5).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace ferry::pickle {

// What follows the instruction byte.  Numbers are little-endian except float8.
enum class Operand : std::uint8_t {
  none,
  uint1,
  uint2,
  uint4,
  int4,
  uint8,
  float8,     // big-endian IEEE double
  line,       // up to a newline, which is not part of it
  line_pair,  // two lines
  counted1,
  counted4,
  counted8,         // a length of 1, 4 or 8 bytes, then as many bytes
  counted4_signed,  // the length is signed; negative is an error
};

enum class Op : std::uint8_t {
  mark = '(',
  stop = '.',
  pop = '0',
  pop_mark = '1',
  dup = '2',
  real_text = 'F',
  integer_text = 'I',
  int4 = 'J',
  uint1 = 'K',
  long_text = 'L',
  uint2 = 'M',
  none = 'N',
  persistent_text = 'P',
  persistent = 'Q',
  reduce = 'R',
  string_text = 'S',
  string4 = 'T',
  string1 = 'U',
  unicode_text = 'V',
  unicode4 = 'X',
  append = 'a',
  build = 'b',
  global = 'c',
  dict = 'd',
  empty_dict = '}',
  appends = 'e',
  get_text = 'g',
  get1 = 'h',
  inst = 'i',
  get4 = 'j',
  list = 'l',
  empty_list = ']',
  obj = 'o',
  put_text = 'p',
  put1 = 'q',
  put4 = 'r',
  setitem = 's',
  tuple = 't',
  empty_tuple = ')',
  setitems = 'u',
  real = 'G',
  bytes4 = 'B',
  bytes1 = 'C',
  proto = 0x80,
  newobj = 0x81,
  ext1 = 0x82,
  ext2 = 0x83,
  ext4 = 0x84,
  tuple1 = 0x85,
  tuple2 = 0x86,
  tuple3 = 0x87,
  new_true = 0x88,
  new_false = 0x89,
  long1 = 0x8a,
  long4 = 0x8b,
  unicode1 = 0x8c,
  unicode8 = 0x8d,
  bytes8 = 0x8e,
  empty_set = 0x8f,
  additems = 0x90,
  frozenset = 0x91,
  newobj_ex = 0x92,
  stack_global = 0x93,
  memoize = 0x94,
  frame = 0x95,
  bytearray8 = 0x96,
  next_buffer = 0x97,
  readonly_buffer = 0x98,
};

struct Opcode {
  Op op;
  std::string_view name;  // as pickletools has it
  std::uint8_t protocol;  // the first that has it
  Operand operand;
  bool weights_only;  // torch 2.13's weights_only unpickler knows it (torch/_weights_only_unpickler.py)
};

inline constexpr auto kOpcodes = std::to_array<Opcode>({
    {Op::mark, "MARK", 0, Operand::none, true},
    {Op::stop, "STOP", 0, Operand::none, true},
    {Op::pop, "POP", 0, Operand::none, false},
    {Op::pop_mark, "POP_MARK", 1, Operand::none, false},
    {Op::dup, "DUP", 0, Operand::none, false},
    {Op::real_text, "FLOAT", 0, Operand::line, false},
    {Op::integer_text, "INT", 0, Operand::line, false},
    {Op::int4, "BININT", 1, Operand::int4, true},
    {Op::uint1, "BININT1", 1, Operand::uint1, true},
    {Op::long_text, "LONG", 0, Operand::line, false},
    {Op::uint2, "BININT2", 1, Operand::uint2, true},
    {Op::none, "NONE", 0, Operand::none, true},
    {Op::persistent_text, "PERSID", 0, Operand::line, false},
    {Op::persistent, "BINPERSID", 1, Operand::none, true},
    {Op::reduce, "REDUCE", 0, Operand::none, true},
    {Op::string_text, "STRING", 0, Operand::line, false},
    {Op::string4, "BINSTRING", 1, Operand::counted4_signed, false},
    {Op::string1, "SHORT_BINSTRING", 1, Operand::counted1, true},
    {Op::unicode_text, "UNICODE", 0, Operand::line, false},
    {Op::unicode4, "BINUNICODE", 1, Operand::counted4, true},
    {Op::append, "APPEND", 0, Operand::none, true},
    {Op::build, "BUILD", 0, Operand::none, true},
    {Op::global, "GLOBAL", 0, Operand::line_pair, true},
    {Op::dict, "DICT", 0, Operand::none, false},
    {Op::empty_dict, "EMPTY_DICT", 1, Operand::none, true},
    {Op::appends, "APPENDS", 1, Operand::none, true},
    {Op::get_text, "GET", 0, Operand::line, false},
    {Op::get1, "BINGET", 1, Operand::uint1, true},
    {Op::inst, "INST", 0, Operand::line_pair, false},
    {Op::get4, "LONG_BINGET", 1, Operand::uint4, true},
    {Op::list, "LIST", 0, Operand::none, false},
    {Op::empty_list, "EMPTY_LIST", 1, Operand::none, true},
    {Op::obj, "OBJ", 1, Operand::none, false},
    {Op::put_text, "PUT", 0, Operand::line, false},
    {Op::put1, "BINPUT", 1, Operand::uint1, true},
    {Op::put4, "LONG_BINPUT", 1, Operand::uint4, true},
    {Op::setitem, "SETITEM", 0, Operand::none, true},
    {Op::tuple, "TUPLE", 0, Operand::none, true},
    {Op::empty_tuple, "EMPTY_TUPLE", 1, Operand::none, true},
    {Op::setitems, "SETITEMS", 1, Operand::none, true},
    {Op::real, "BINFLOAT", 1, Operand::float8, true},
    {Op::bytes4, "BINBYTES", 3, Operand::counted4, false},
    {Op::bytes1, "SHORT_BINBYTES", 3, Operand::counted1, false},
    {Op::proto, "PROTO", 2, Operand::uint1, true},
    {Op::newobj, "NEWOBJ", 2, Operand::none, true},
    {Op::ext1, "EXT1", 2, Operand::uint1, false},
    {Op::ext2, "EXT2", 2, Operand::uint2, false},
    {Op::ext4, "EXT4", 2, Operand::int4, false},
    {Op::tuple1, "TUPLE1", 2, Operand::none, true},
    {Op::tuple2, "TUPLE2", 2, Operand::none, true},
    {Op::tuple3, "TUPLE3", 2, Operand::none, true},
    {Op::new_true, "NEWTRUE", 2, Operand::none, true},
    {Op::new_false, "NEWFALSE", 2, Operand::none, true},
    {Op::long1, "LONG1", 2, Operand::counted1, true},
    {Op::long4, "LONG4", 2, Operand::counted4_signed, false},
    {Op::unicode1, "SHORT_BINUNICODE", 4, Operand::counted1, false},
    {Op::unicode8, "BINUNICODE8", 4, Operand::counted8, false},
    {Op::bytes8, "BINBYTES8", 4, Operand::counted8, false},
    {Op::empty_set, "EMPTY_SET", 4, Operand::none, true},
    {Op::additems, "ADDITEMS", 4, Operand::none, false},
    {Op::frozenset, "FROZENSET", 4, Operand::none, false},
    {Op::newobj_ex, "NEWOBJ_EX", 4, Operand::none, false},
    {Op::stack_global, "STACK_GLOBAL", 4, Operand::none, false},
    {Op::memoize, "MEMOIZE", 4, Operand::none, false},
    {Op::frame, "FRAME", 4, Operand::uint8, false},
    {Op::bytearray8, "BYTEARRAY8", 5, Operand::counted8, false},
    {Op::next_buffer, "NEXT_BUFFER", 5, Operand::none, false},
    {Op::readonly_buffer, "READONLY_BUFFER", 5, Operand::none, false},
});
static_assert(kOpcodes.size() == 68);

// Byte → row, or nullptr for a byte that is no instruction.
inline constexpr auto kByByte = [] {
  std::array<const Opcode*, 256> rows{};
  for (const Opcode& row : kOpcodes) rows[static_cast<std::uint8_t>(row.op)] = &row;
  return rows;
}();

inline constexpr std::uint8_t kProtocolMax = 5;

}  // namespace ferry::pickle
