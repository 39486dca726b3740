// What the standard streams are, and the lines that go to them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

namespace ferry::cli {

enum class ColorChoice : std::uint8_t { automatic, always, never };

// Colours: as asked; otherwise on a terminal that takes them, unless NO_COLOR is set.
bool takes_color(std::FILE* stream, ColorChoice choice);
bool is_terminal(std::FILE* stream);
std::size_t terminal_width(std::FILE* stream);  // 0: not a terminal

// Descriptors 0 to 2 that are closed are opened on /dev/null: otherwise an output file could get number 1,
// and what is printed would end up in it.  What is printed to a closed stdout is lost, and finish_output says
// so, unless the verb's result is a file.
void keep_standard_streams();
void allow_closed_output();

void print(std::string_view text);  // to stdout

// "torchferry: error: FILE: what; where; hint: …" to stderr.
void print_error(const std::exception& error);

// "torchferry: what" to stderr; the text is safe to print.
void print_remark(std::string_view what);

// Flushes stdout; 2 and a message when something was lost, 0 otherwise.  A reader that went away is no error.
int finish_output();

}  // namespace ferry::cli
