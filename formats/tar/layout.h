// Where the fields of a tar header stand: one table.  FORMAT.md says the same in prose, with the sources.
#pragma once

#include <cstddef>
#include <string_view>

namespace ferry::tar {

inline constexpr std::size_t kBlock = 512;

struct Field {
  std::size_t at, size;
};

namespace header {
inline constexpr Field kName{0, 100}, kSize{124, 12}, kChecksum{148, 8}, kType{156, 1}, kMagic{257, 5},
    kPrefix{345, 155};
}  // namespace header

inline constexpr std::string_view kMagic =
    "ustar";  // of ustar and pax; of GNU too, with other bytes behind it

namespace type {
inline constexpr char kFile = '0', kOldFile = '\0', kHardLink = '1', kSymbolicLink = '2',
                      kCharacterDevice = '3', kBlockDevice = '4', kFolder = '5', kFifo = '6',
                      kContiguousFile = '7', kPax = 'x', kSolarisPax = 'X', kGlobalPax = 'g',
                      kGnuLongName = 'L', kGnuLongLink = 'K', kGnuSparse = 'S';
}  // namespace type

}  // namespace ferry::tar
