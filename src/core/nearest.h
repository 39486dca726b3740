// What may have been meant by a name that nobody knows.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ferry {

// The name that is fewest changes of characters away; empty when none is near enough to be meant.
std::string nearest(std::string_view typed, const std::vector<std::string>& names);

}  // namespace ferry
