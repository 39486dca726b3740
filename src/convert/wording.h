// How the lines of a change log count and list things.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ferry::convert {

// "1 key", "684 keys", "2 entries".
std::string counted(std::size_t count, std::string_view noun);

// "a, b, c …": the first few.
std::string listed(const std::vector<std::string>& names, std::size_t most = 3);

}  // namespace ferry::convert
