// Text as people and terminals see it: UTF-8 checks, escaping, names of sizes and numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ferry {

// True for well-formed UTF-8.  Lone surrogates (Python's "surrogatepass") pass only when asked for.
bool is_utf8(std::string_view text, bool surrogates_allowed);

// Latin-1 bytes as UTF-8.
std::string latin1_to_utf8(std::string_view bytes);

// The inverse; false when a character is above U+00FF or the text is no UTF-8.
bool utf8_to_latin1(std::string_view text, std::string& bytes);

// Appends the UTF-8 form of a code point (surrogates included, as surrogatepass does).
void append_utf8(std::string& out, std::uint32_t code_point);

// Safe to print: C0 and C1 controls, bidirectional overrides, line separators and bytes that are no UTF-8
// become \n, \x1b, \u202e …; everything else stays as it is.
std::string escape_for_terminal(std::string_view text);

// 'text' in quotes for messages: escaped, and shortened in the middle when longer than `length_max` bytes.
std::string quote(std::string_view text, std::size_t length_max = 120);

// 1536 → "1.5 KiB"; exact bytes below 1 KiB.
std::string iec_size(std::uint64_t bytes);

// 1234567 → "1,234,567".
std::string grouped(std::uint64_t number);

// "1 tensor", "1,234 tensors".
std::string counted(std::uint64_t count, std::string_view noun);

// 'a', 'b' and 7 more: the first of the names, quoted.
std::string listed(std::span<const std::string> names, std::size_t most);

// The shortest decimal text that reads back as the same double, as Python's repr writes it ("1e-05", "0.1",
// "inf").
std::string real_text(double value);

// Shell-style globs over whole texts: * ? [a-z] [!a-z]; '*' also crosses dots and slashes.
bool glob_match(std::string_view pattern, std::string_view text);

}  // namespace ferry
