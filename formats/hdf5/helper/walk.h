// The walk over the objects of a file: one line each.
//
// Groups are walked depth first without recursion.  Every object is described once, at its first name; a
// further hard link to it becomes an `alias` line.  Soft and external links are told and never followed.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "formats/hdf5/helper/library.h"

namespace ferry::hdf5::helper {

struct WalkLimits {
  std::uint64_t objects_max = 0;  // lines
  std::uint64_t depth_max = 0;    // groups inside each other
};

// Calls `tell` with every line, the root group first and parents before children.  Throws Code::bad_hdf5
// with the place, Code::limit_exceeded, Code::too_deep.
void walk(hid_t file, const WalkLimits& limits, const std::function<void(std::string_view)>& tell);

}  // namespace ferry::hdf5::helper
