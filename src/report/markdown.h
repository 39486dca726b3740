// Text in GitHub-flavoured Markdown.
#pragma once

#include <string>
#include <string_view>

namespace ferry::report {

// Running text: without markup, HTML and line breaks, also in cells of tables.  A word joiner, which is not
// seen, keeps @name and #1 from notifying people and linking issues.
std::string markdown_text(std::string_view text);
// Names in a fixed-width face, in which GitHub looks for neither.  Not between backticks: no escape can stand
// there.
std::string markdown_code(std::string_view text);

}  // namespace ferry::report
