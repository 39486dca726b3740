// How a legacy stream begins.
// Source: torch/serialization.py (MAGIC_NUMBER, PROTOCOL_VERSION), 0.1.10 … 2.13.
#pragma once

#include <cstdint>
#include <string_view>

namespace ferry::torch::legacy {

inline constexpr std::string_view kMagic = "119547037146038801333356";  // 0x1950a86a20f9469cfc6c
inline constexpr std::string_view kMagicOctets =
    "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";  // the same, as LONG1 has it
inline constexpr std::int64_t kProtocol = 1001;

}  // namespace ferry::torch::legacy
