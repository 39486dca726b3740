// XXH3-128: the identity of a file's bytes, at the speed of memory.  Not a seal: it does not resist forgery.
#pragma once

#include <memory>
#include <string>

#include "src/core/bytes.h"

namespace ferry::hash {

class Xxh3Stream {
 public:
  Xxh3Stream();
  ~Xxh3Stream();
  Xxh3Stream(Xxh3Stream&&) noexcept;
  Xxh3Stream& operator=(Xxh3Stream&&) noexcept;

  void update(Bytes bytes);
  std::string hex() const;  // of all bytes so far: 32 digits, as `xxhsum -H2` prints them

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ferry::hash
