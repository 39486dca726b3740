// SHA-256 (FIPS 180-4): the name of an array that other programs can check.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "src/core/bytes.h"

namespace ferry::hash {

class Sha256Stream {
 public:
  void update(Bytes bytes);
  std::string hex() const;  // of all bytes so far: 64 lower-case digits

 private:
  void add_block(const std::byte* block);

  std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::byte, 64> pending_{};
  std::uint64_t size_ = 0;
};

}  // namespace ferry::hash
