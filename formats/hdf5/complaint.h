// How the end of the helper program becomes an error of torchferry.
#pragma once

#include <string_view>

namespace ferry::hdf5 {

// `said` is what the helper wrote on its standard error: a line of JSON, perhaps after words of a library, or
// nothing.  `status` is that of waitpid.  Code::bad_hdf5 for a file that the library cannot read,
// Code::limit_exceeded, Code::too_deep, Code::helper_missing when the program itself could not be run.
[[noreturn]] void throw_complaint(std::string_view said, int status);

}  // namespace ferry::hdf5
