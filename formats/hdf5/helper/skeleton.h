// Making a file of everything but payloads.
//
// Every dataset is contiguous, allocated when it is made and never filled, so that the bytes between the
// payloads are the whole of what the library has to say.  Payloads of 64 bytes and more begin at multiples
// of 64.
#pragma once

#include <functional>
#include <string_view>

#include "formats/json/json.h"

namespace ferry::hdf5::helper {

// `next` gives one object after the other, groups before what is in them and the root group first, and false
// at the end.  Calls `tell` with a line for each dataset: where its payload belongs and how large it is.
// `path` is made anew.  The same objects give the same bytes: nothing in the file has a date.
void make_skeleton(const char* path, const std::function<bool(json::Value&)>& next,
                   const std::function<void(std::string_view)>& tell);

}  // namespace ferry::hdf5::helper
