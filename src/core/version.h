// The version of torchferry, as CMakeLists.txt says it.
#pragma once

#include <string_view>

namespace ferry {

std::string_view version();  // "0.1.0"

}  // namespace ferry
