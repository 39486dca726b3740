#include "src/hash/xxh3.h"

// Inlined, the hash uses the widest vectors that the compiler may use; Debian's shared library is five times
// slower.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <new>

namespace ferry::hash {

struct Xxh3Stream::State {
  XXH3_state_t state;  // 64-byte aligned, which operator new honours
};

Xxh3Stream::Xxh3Stream() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->state); }
Xxh3Stream::~Xxh3Stream() = default;
Xxh3Stream::Xxh3Stream(Xxh3Stream&&) noexcept = default;
Xxh3Stream& Xxh3Stream::operator=(Xxh3Stream&&) noexcept = default;

void Xxh3Stream::update(Bytes bytes) {
  if (!bytes.empty()) XXH3_128bits_update(&state_->state, bytes.data(), bytes.size());
}

std::string Xxh3Stream::hex() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state_->state));
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : canonical.digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace ferry::hash
