#include "formats/pickle/emitter.h"

#include <bit>

#include "src/core/error.h"

namespace ferry::pickle {

void Emitter::characters(std::string_view text) {
  const Bytes bytes = as_bytes(text);
  out_.insert(out_.end(), bytes.begin(), bytes.end());
}

void Emitter::integer(std::int64_t value) {
  if (value >= 0 && value <= 0xff) {
    op(Op::uint1);
    number(static_cast<std::uint8_t>(value));
  } else if (value >= 0 && value <= 0xffff) {
    op(Op::uint2);
    number(static_cast<std::uint16_t>(value));
  } else if (value >= INT32_MIN && value <= INT32_MAX) {
    op(Op::int4);
    number(static_cast<std::uint32_t>(value));
  } else {
    // The fewest octets whose sign bit is right.
    std::uint8_t octets = 8;
    while (octets > 1 && (value >> (8 * octets - 9)) == (value < 0 ? -1 : 0)) --octets;
    op(Op::long1);
    number(octets);
    for (std::uint8_t i = 0; i < octets; ++i) number(static_cast<std::uint8_t>(value >> (8 * i)));
  }
}

void Emitter::big_integer(std::string_view octets) {
  if (octets.size() > 255)
    throw Error(Code::unsupported_value, "an integer of more than 255 bytes cannot be read by weights_only");
  op(Op::long1);
  number(static_cast<std::uint8_t>(octets.size()));
  characters(octets);
}

void Emitter::real(double value) {
  op(Op::real);
  const auto bits = std::bit_cast<std::uint64_t>(value);
  for (int shift = 56; shift >= 0; shift -= 8) out_.push_back(static_cast<std::byte>(bits >> shift & 0xff));
}

void Emitter::text(std::string_view utf8) {
  if (utf8.size() > 0xffffffffu)
    throw Error(Code::unsupported_value, "a text of more than 4 GiB cannot be written");
  op(Op::unicode4);
  number(static_cast<std::uint32_t>(utf8.size()));
  characters(utf8);
}

void Emitter::global(std::string_view module, std::string_view name) {
  op(Op::global);
  characters(module);
  characters("\n");
  characters(name);
  characters("\n");
}

std::uint32_t Emitter::put() {
  if (memo_ <= 0xff) {
    op(Op::put1);
    number(static_cast<std::uint8_t>(memo_));
  } else {
    op(Op::put4);
    number(memo_);
  }
  return memo_++;
}

void Emitter::get(std::uint32_t index) {
  if (index <= 0xff) {
    op(Op::get1);
    number(static_cast<std::uint8_t>(index));
  } else {
    op(Op::get4);
    number(index);
  }
}

}  // namespace ferry::pickle
