// Standard input and output as the conversation has them: lines in, lines and raw bytes out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/core/bytes.h"

namespace ferry::hdf5::helper {

class LineInput {
 public:
  // The next line without its end; false at the end of the input.  Throws Code::cannot_read, and
  // Code::limit_exceeded for a line longer than the protocol allows.
  bool next(std::string& line);

 private:
  bool fill();

  std::string buffer_;
  std::size_t at_ = 0;
};

// Collects small pieces; what is left is written by flush().  Throws Code::cannot_write when the other side
// is gone.
class Output {
 public:
  void put(std::string_view text);
  void put(Bytes bytes) { put(as_text(bytes)); }
  void flush();

 private:
  std::string buffer_;
};

}  // namespace ferry::hdf5::helper
