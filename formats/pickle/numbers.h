// Numbers and strings as protocol 0 writes them: text on a line.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/bytes.h"

namespace ferry::pickle {

// A decimal integer of any size, as two's complement octets, least first; nullopt when it is none.
std::optional<std::vector<std::byte>> parse_integer(std::string_view text);

// A float as Python's float() reads it: digits, inf, nan; nullopt when it is none.
std::optional<double> parse_real(std::string_view text);

// A quoted Python 2 string literal with its escapes undone; nullopt when quotes or escapes are wrong.
std::optional<std::string> parse_string_literal(std::string_view text);

// The raw-unicode-escape codec, as UTF-8: \uXXXX and \UXXXXXXXX, other bytes are Latin-1; nullopt on a bad
// escape.
std::optional<std::string> parse_raw_unicode_escape(std::string_view text);

}  // namespace ferry::pickle
