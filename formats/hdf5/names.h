// Names of a checkpoint as names of links: HDF5 divides paths at slashes, ends names at NUL, and "." is the
// group itself.  Those, the percent sign and the empty name are written as in addresses of web pages: %2F,
// %00, %2E, %25, and % for nothing.
#pragma once

#include <string>
#include <string_view>

namespace ferry::hdf5 {

std::string link_name(std::string_view name);
std::string name_of_link(std::string_view link);

}  // namespace ferry::hdf5
