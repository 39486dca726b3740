// A pickle program as text, one instruction a line, as `python -m pickletools` has it but without running a
// memo.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "src/core/bytes.h"

namespace ferry::pickle {

// Gives each line: offset, instruction name, operand (escaped, shortened), up to STOP.
// Throws as read_instruction does, after the lines before the fault.
void disassemble(Bytes program, const std::function<void(std::string_view)>& line);

}  // namespace ferry::pickle
