#include <gtest/gtest.h>

#include <string>

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

}  // namespace
}  // namespace ferry::hash
