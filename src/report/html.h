// Text on a page.
#pragma once

#include <string>
#include <string_view>

namespace ferry::report {

// Text between tags and in attributes: safe for both, and without characters that turn the page around or
// that terminals obey.
std::string html_escaped(std::string_view text);

}  // namespace ferry::report
