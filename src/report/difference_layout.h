// Lines for a terminal of a given width: how wide text appears there, and how it is folded and shortened.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ferry::report {

// Columns that UTF-8 text takes on a terminal: ideographs and emoji two, combining marks none, all else one.
// Escape sequences are not known here: text is painted after it was laid out.
std::size_t display_columns(std::string_view text);

// "model_state…weight", at most `width` columns wide; the end, which tells tensors apart, keeps two thirds.
// Width 0: as it is.
std::string shortened(std::string_view text, std::size_t width);

// Text filled up with spaces, at its end or (`right`) at its beginning.
std::string padded(std::string text, std::size_t width, bool right = false);

// `text` behind `head`, in lines of at most `width` columns (0: one line); what follows the first is indented
// by `hanging`.  Folds at spaces; a word that is longer than a line is shortened.  Ends with a line feed.
std::string folded(std::string_view head, std::string_view text, std::size_t hanging, std::size_t width);

}  // namespace ferry::report
