// JSON out: text in quotes.  Numbers and brackets need no help.
#pragma once

#include <string>
#include <string_view>

namespace ferry::json {

// `utf8` as a JSON string, with its quotes; characters below U+0020 are escaped.
std::string quoted(std::string_view utf8);

}  // namespace ferry::json
