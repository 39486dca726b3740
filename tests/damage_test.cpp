// Every prefix and every single-bit flip of small real files: rejected, or the same content.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "src/core/error.h"
#include "tests/support/content.h"

namespace ferry {
namespace {

using test::content_of;
using test::fixture;
using test::open_bytes;
using test::read_file;
using test::with_bit_flipped;

// The content, or nothing when the file is rejected.  Any other exception, or a crash, fails the test.
std::optional<std::string> content_or_rejection(std::vector<std::byte> bytes) {
  try {
    return content_of(open_bytes(std::move(bytes)));
  } catch (const Error& error) {
    EXPECT_FALSE(std::string(error.what()).empty());
    return std::nullopt;
  }
}

void expect_every_prefix_rejected(const std::vector<std::byte>& whole) {
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(content_or_rejection({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}))
        << "a prefix of " << size << " bytes";
}

TEST(Damage, EveryPrefixOfAZipIsRejected) {
  expect_every_prefix_rejected(read_file(fixture("1.12.1/bare_tensor.pt")));
}

TEST(Damage, EveryPrefixOfAnOptInZipOf14IsRejected) {
  expect_every_prefix_rejected(read_file(fixture("1.4.0/form_zip_proto2.pth")));
}

TEST(Damage, EveryPrefixOfALegacyStreamIsRejected) {
  expect_every_prefix_rejected(read_file(fixture("1.4.0/bare_tensor.pt")));
}

TEST(Damage, EveryPrefixOfAStreamOfPython2IsRejected) {
  expect_every_prefix_rejected(read_file(fixture("1.4.0-py27/argparse_namespace.pth")));
}

TEST(Damage, EveryFlippedBitOfAZipIsRejectedOrChangesNothing) {
  const std::vector<std::byte> whole = read_file(fixture("1.12.1/bare_tensor.pt"));
  const std::string content = content_of(open_bytes(whole));
  std::size_t rejected = 0;
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    const auto damaged = content_or_rejection(with_bit_flipped(whole, bit));
    rejected += damaged ? 0u : 1u;
    EXPECT_EQ(damaged.value_or(content), content) << "bit " << bit % 8 << " of byte " << bit / 8;
  }
  // Padding, dates and attributes are slack; everything else must be seen.
  EXPECT_GT(rejected, 8 * whole.size() / 3);
}

TEST(Damage, EveryFlippedBitOfADeflatedZipIsRejectedOrChangesNothing) {
  const std::vector<std::byte> whole = read_file(fixture("hand-made/zip_deflated.pth"));
  const std::string content = content_of(open_bytes(whole));
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit)
    EXPECT_EQ(content_or_rejection(with_bit_flipped(whole, bit)).value_or(content), content)
        << "byte " << bit / 8;
}

// A legacy stream has no checksums: a flipped bit in a weight, a key or a number gives another legal file.
// What can be promised is that nothing worse happens, that structure is never believed beyond the file, and
// that the reader says so.
TEST(Damage, AFlippedBitOfALegacyStreamIsRejectedOrSaidToBeUnseen) {
  const std::vector<std::byte> whole = read_file(fixture("1.4.0/bare_tensor.pt"));
  const Checkpoint checkpoint = open_bytes(whole);
  const std::string content = content_of(checkpoint);
  const bool said = std::any_of(checkpoint.notes.begin(), checkpoint.notes.end(),
                                [](const Note& note) { return note.code == Code::no_checksums; });
  EXPECT_TRUE(said);
  std::size_t rejected = 0;
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    const auto damaged = content_or_rejection(with_bit_flipped(whole, bit));
    rejected += damaged ? 0u : 1u;
    // As much data as the file has room for, and no more.
    EXPECT_LT(damaged.value_or("").size(), content.size() + whole.size());
  }
  EXPECT_GT(rejected, 8 * whole.size() / 4);
}

TEST(Damage, AFlippedBitInTheWeightsOfALegacyStreamChangesOnlyThatWeight) {
  const std::vector<std::byte> whole = read_file(fixture("1.4.0/bare_tensor.pt"));
  const Checkpoint checkpoint = open_bytes(whole);
  const std::string content = content_of(checkpoint);
  const StorageBytes& bytes = checkpoint.storages.at(0).bytes;
  for (std::uint64_t bit = 8 * bytes.offset; bit < 8 * (bytes.offset + bytes.size); ++bit) {
    const auto damaged = content_or_rejection(with_bit_flipped(whole, static_cast<std::size_t>(bit)));
    ASSERT_TRUE(damaged);
    EXPECT_EQ(damaged->size(), content.size());
    EXPECT_NE(*damaged, content);
  }
}

}  // namespace
}  // namespace ferry
