#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "src/hash/sha256.h"
#include "src/hash/xxh3.h"

namespace ferry::hash {
namespace {

std::string hash_of(std::string_view text) {
  Xxh3Stream stream;
  stream.update(as_bytes(text));
  return stream.hex();
}

// The digests that `xxhsum -H2` of xxHash 0.8 prints.
TEST(Xxh3Stream, AgreesWithPublishedDigests) {
  EXPECT_EQ(hash_of(""), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(hash_of("abc"), "06b05ab6733a618578af5f94892f3950");
}

TEST(Xxh3Stream, DoesNotDependOnThePieces) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += static_cast<char>(i * 7);
  const std::string whole = hash_of(text);
  for (const std::size_t piece : {1u, 17u, 256u, 4999u}) {
    Xxh3Stream stream;
    for (std::size_t at = 0; at < text.size(); at += piece)
      stream.update(as_bytes(std::string_view(text).substr(at, piece)));
    EXPECT_EQ(stream.hex(), whole) << piece;
  }
}

TEST(Xxh3Stream, CanBeAskedOnTheWay) {
  Xxh3Stream stream;
  EXPECT_EQ(stream.hex(), hash_of(""));
  stream.update(as_bytes("abc"));
  EXPECT_EQ(stream.hex(), hash_of("abc"));
  EXPECT_EQ(stream.hex(), hash_of("abc"));
  stream.update({});
  EXPECT_EQ(stream.hex(), hash_of("abc"));
}

std::string sha256_of(std::string_view text, std::size_t piece = SIZE_MAX) {
  Sha256Stream stream;
  while (!text.empty()) {
    stream.update(as_bytes(text.substr(0, piece)));
    text.remove_prefix(std::min(piece, text.size()));
  }
  return stream.hex();
}

// FIPS 180-4 and NIST's examples.
TEST(Sha256Stream, AgreesWithPublishedDigests) {
  EXPECT_EQ(sha256_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_of(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256Stream, DoesNotDependOnThePieces) {
  std::string text;
  for (int i = 0; i < 700; ++i) text += static_cast<char>(i * 7);
  for (std::size_t size = 0; size < text.size(); size += 13) {
    const std::string_view part = std::string_view(text).substr(0, size);
    for (const std::size_t piece : {1u, 63u, 64u, 65u}) EXPECT_EQ(sha256_of(part, piece), sha256_of(part));
  }
}

}  // namespace
}  // namespace ferry::hash
