// The files that a comparison writes beside the files that it reads.
#pragma once

#include <string>
#include <vector>

namespace ferry::cli {

// What stands in the way of the results is said before the work; inputs may be empty.  Throws what
// check_destination throws; Code::same_file for an output that is an input, one of the shards of an input or
// the text beside it, even with `replace`; and Code::bad_usage for two outputs that are one file.
void check_outputs(const std::vector<std::string>& outputs, const std::vector<std::string>& inputs,
                   bool replace);

}  // namespace ferry::cli
