// What a checkpoint holds, as one string: equal strings, equal content.  For tests that damage files.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/checkpoint.h"

namespace ferry::test {

// The fixture folder of the source tree.
std::filesystem::path fixture(std::string_view name);
std::vector<std::byte> read_file(const std::filesystem::path& path);

// Opens bytes in memory as a checkpoint of any format.
Checkpoint open_bytes(std::vector<std::byte> bytes);

// Values with shapes, strides and sharing (the program that would be written), then the bytes of every
// storage; all CRCs are checked on the way.
std::string content_of(const Checkpoint& checkpoint);

// Flips bit `bit` (counted from the first byte's lowest) of a copy.
std::vector<std::byte> with_bit_flipped(const std::vector<std::byte>& bytes, std::size_t bit);

}  // namespace ferry::test
