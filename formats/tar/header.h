// One header block, and the extended headers that may stand before it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "src/core/bytes.h"

namespace ferry::tar {

struct Header {
  std::string name;  // with the prefix of ustar in front
  char type = '0';
  std::uint64_t size = 0;
};

bool is_zero_block(Bytes block);
// True when the sum of the block's bytes, signed or unsigned, is the one that it says.
bool has_right_checksum(Bytes block);

// Throws Code::bad_tar: a wrong checksum, a size that is no number.
Header read_header(Bytes block);

// What extended headers say of the next member.
struct Extension {
  std::optional<std::string> name;
  std::optional<std::uint64_t> size;
};

// The records "LENGTH KEY=VALUE\n" of a pax header.  Of these, path and size count; those of a global header
// may not say either, because they would rename every member that follows.  Throws Code::bad_tar,
// Code::unsupported_container (sparse files).
void read_pax_records(std::string_view records, bool global, Extension& extension);

}  // namespace ferry::tar
