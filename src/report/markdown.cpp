#include "src/report/markdown.h"

#include "src/core/text.h"

namespace ferry::report {
namespace {

bool starts_shortcode(std::string_view text, std::size_t colon) {
  const char next = colon + 1 < text.size() ? text[colon + 1] : ' ';
  return next == '/' || next == '+' || next == '-' || (next >= 'a' && next <= 'z') ||
         (next >= 'A' && next <= 'Z');
}

// Without markup, HTML and line breaks, also in cells of tables; `joint` stands behind @ and #.
std::string escaped(std::string_view raw, std::string_view joint) {
  const std::string text = escape_for_terminal(raw);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool markup = std::string_view("\\`*_[]|~$").find(c) != std::string_view::npos;
    if (markup || (c == ':' && starts_shortcode(text, i))) out += '\\';
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else
      out += c;
    if (c == '@' || c == '#') out += joint;
  }
  return out;
}

}  // namespace

std::string markdown_text(std::string_view text) { return escaped(text, "&#8288;"); }

std::string markdown_code(std::string_view text) { return "<code>" + escaped(text, "") + "</code>"; }

}  // namespace ferry::report
