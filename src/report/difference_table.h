// The table of tensors on a terminal, with what is to be said under each row.
#pragma once

#include <string>
#include <vector>

#include "src/report/difference.h"

namespace ferry::report {

// Columns that fit the width, the most telling ones first; the name gives way before a column does.  Width 0:
// all of them, nothing shortened.  Columns that would be empty in every row are left out.
std::string difference_table(const std::vector<const TensorRow*>& rows, const DiffTextStyle& style);

}  // namespace ferry::report
