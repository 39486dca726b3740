// Text that programs of this machine print, and its environment.
#pragma once

#include <string>
#include <string_view>

namespace ferry::doctor {

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view trimmed(std::string_view text);  // without the blanks and ends of lines around it

std::string text_of_environment(const char* name);  // empty also where it is not set

}  // namespace ferry::doctor
