// The words of the layout, for reader and writer.  FORMAT.md says what they mean.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ferry::golden {

inline constexpr std::int64_t kLayoutVersion = 1;
inline constexpr std::string_view kKind = "torch-golden";
inline constexpr std::string_view kAttributesMember = "__attrs__";  // of an npz: the attributes of all paths
inline constexpr std::string_view kArraySuffix = ".npy";
inline constexpr std::size_t kSequenceDigits = 5;  // at least; more where the number has more

}  // namespace ferry::golden
