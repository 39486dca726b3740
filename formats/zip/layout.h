// Where the fields of a zip archive stand: one table, read by the reader and by the encoder.  FORMAT.md says
// the same in prose, with the sources.  All numbers are little-endian.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ferry::zip {

// A field that holds this is continued in the zip64 extra or in the zip64 end record.
inline constexpr std::uint16_t kSaturated16 = 0xffff;
inline constexpr std::uint32_t kSaturated32 = 0xffffffff;

// A match of deflate takes two bits and yields 258 bytes: nothing inflates to more.
inline constexpr std::uint64_t kDeflateRatioMax = 1032;

namespace local {
inline constexpr std::uint32_t kSignature = 0x04034b50;  // PK\3\4
inline constexpr std::size_t kVersion = 4, kFlags = 6, kMethod = 8, kTime = 10, kDate = 12, kCrc = 14,
                             kStoredSize = 18, kSize = 22, kNameSize = 26, kExtraSize = 28, kBytes = 30;
}  // namespace local

namespace central {
inline constexpr std::uint32_t kSignature = 0x02014b50;  // PK\1\2
inline constexpr std::size_t kMadeBy = 4, kVersion = 6, kFlags = 8, kMethod = 10, kTime = 12, kDate = 14,
                             kCrc = 16, kStoredSize = 20, kSize = 24, kNameSize = 28, kExtraSize = 30,
                             kCommentSize = 32, kDisk = 34, kHeaderOffset = 42, kBytes = 46;
}  // namespace central

namespace end {
inline constexpr std::uint32_t kSignature = 0x06054b50;  // PK\5\6
inline constexpr std::size_t kDisk = 4, kDirectoryDisk = 6, kCountHere = 8, kCount = 10, kDirectorySize = 12,
                             kDirectoryOffset = 16, kCommentSize = 20, kBytes = 22;
}  // namespace end

namespace end64 {
inline constexpr std::uint32_t kSignature = 0x06064b50;  // PK\6\6
inline constexpr std::size_t kRecordSize = 4, kMadeBy = 12, kVersion = 14, kDisk = 16, kDirectoryDisk = 20,
                             kCountHere = 24, kCount = 32, kDirectorySize = 40, kDirectoryOffset = 48,
                             kBytes = 56;
inline constexpr std::uint64_t kRecordSizeValue = kBytes - 12;  // what follows the field itself
}  // namespace end64

namespace locator64 {
inline constexpr std::uint32_t kSignature = 0x07064b50;  // PK\6\7
inline constexpr std::size_t kDisk = 4, kEndOffset = 8, kDiskCount = 16, kBytes = 20;
}  // namespace locator64

// Follows the data when flag kHasDescriptor is set: [signature] crc stored_size size, the sizes of 4 or of 8
// bytes.
namespace descriptor {
inline constexpr std::uint32_t kSignature = 0x08074b50;  // PK\7\8
inline constexpr std::size_t kBytesMax = 24;
}  // namespace descriptor

namespace flag {
inline constexpr std::uint16_t kEncrypted = 0x1, kDeflateOption1 = 0x2, kDeflateOption2 = 0x4,
                               kHasDescriptor = 0x8, kPatched = 0x20, kStrongEncryption = 0x40, kUtf8 = 0x800,
                               kMaskedHeaders = 0x2000;
}  // namespace flag

namespace extra {
inline constexpr std::uint16_t kZip64 = 0x0001, kUnicodePath = 0x7075;
inline constexpr std::uint16_t kPadding =
    0x4246;                                     // "FB": filler in front of the data, PyTorch's own invention
inline constexpr std::size_t kHeaderBytes = 4;  // id and size
}  // namespace extra

}  // namespace ferry::zip
