// The helper program while it runs: started by path, fed with lines, read with a deadline, and ended with the
// object.
//
// Nothing of it can hurt this process: no signal is raised by its death, no call waits for ever, and its end,
// however it came, is one Error.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "src/core/bytes.h"

namespace ferry::hdf5 {

// A file descriptor that closes itself.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { reset(); }
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  int get() const { return fd_; }
  int release();
  void reset();

 private:
  int fd_ = -1;
};

// Where the helper is: the path in the environment variable TORCHFERRY_HDF5, else `torchferry-hdf5` in the
// folder of the running program.  Throws Code::helper_missing, with a hint, when nothing can be run
// there.
std::string find_helper();

// What the helper may use.  It sets its own limits; the deadline is kept here.
struct Allowance {
  std::uint64_t memory_bytes = std::uint64_t{1} << 30;  // of address space
  std::uint64_t seconds = 10;                           // of processor time
  std::uint64_t silence_seconds = 20;                   // between one answer and the next
  std::uint64_t objects_max = 0, depth_max = 0;
};

// Enough for any honest file of this size, too little for an endless loop to be a nuisance.
Allowance allowance_for(std::uint64_t file_size);

class Process {
 public:
  // Starts the helper with `file` as its descriptor 3.
  Process(std::string_view verb, int file, const Allowance& allowance);
  ~Process();  // kills it when it is still there
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void send(std::string_view text);
  void finish_sending();
  // The next line of the answer, without its end, valid until the next call.  Throws when the helper dies,
  // complains, stays silent or answers with a longer line than the protocol allows.
  std::string_view read_line();
  // Fills `out` from the answer, or throws.
  void read_bytes(std::span<std::byte> out);
  // Grants processor time on top of what it has used or been given.
  void grant_seconds(std::uint64_t seconds);

 private:
  bool fill();                        // more of the answer; false at its end
  [[noreturn]] void explain_death();  // waits for it and says how it died
  int wait_for_end();                 // the status of waitpid

  pid_t pid_ = -1;
  Descriptor pipe_, errors_;
  Allowance allowance_;
  std::string buffer_, complaint_;
  std::size_t at_ = 0;
};

}  // namespace ferry::hdf5
