// A program that runs models, while it runs: started, given its input, listened to until it ends.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace ferry::cli {

// Where it is: the path in the environment variable TORCHFERRY_REPLAY, else `torchferry-replay` in the folder
// of the running program.  Throws Code::helper_missing, with a hint, when nothing can be run there.
std::string find_replay_program();

class ReplayProcess {
 public:
  // Starts words[0], found in PATH where it is no path, with the other words, and hands it `input`.
  ReplayProcess(std::vector<std::string> words, std::string_view input);
  ~ReplayProcess();  // kills it when it is still there
  ReplayProcess(const ReplayProcess&) = delete;
  ReplayProcess& operator=(const ReplayProcess&) = delete;

  // The next line that it says, without its end; false when it says no more.
  bool read_line(std::string& line);

  // Waits for its end.  Throws Code::model_failed or Code::limit_exceeded when a signal ended it, and
  // Code::helper_missing when it could not be run; returns its exit status otherwise.
  int finish();

  // The last line that it wrote to stderr; empty when it wrote none.
  std::string last_complaint() const;

 private:
  void fill();
  void collect_complaints();

  std::string program_;
  pid_t pid_ = -1;
  int out_ = -1, err_ = -1;
  bool ended_ = false;
  std::string buffer_, complaints_;
};

}  // namespace ferry::cli
