// Another program, asked one thing and waited for no longer than it may take.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::doctor {

struct ProgramAnswer {
  std::string output, errors;  // the first megabyte of each
  int status = -1;             // its exit code; -1 when it did not exit by itself
  std::string failure;  // "does not start: …", "no answer within 60 s", "killed by signal 11"; or empty
};

// Runs words[0], a path, with the environment of this process and `input` on its standard input.  What is
// still running after `seconds` is killed.  Never throws for what the program does.
ProgramAnswer ask_program(std::vector<std::string> words, std::string_view input, unsigned seconds);

}  // namespace ferry::doctor
