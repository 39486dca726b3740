// One line of the listing as an object.  What can be checked of an object by itself is checked here; what
// concerns several is left to listing.cpp.
#pragma once

#include <cstdint>
#include <vector>

#include "formats/hdf5/listing.h"
#include "formats/json/json.h"

namespace ferry::hdf5 {

// Throws Code::internal for a line that this version of the helper does not write.
[[noreturn]] void misunderstood(const std::string& what);

// Kind, name and place in the tree; `before` are the objects of the lines before.
Object read_object(const json::Value& line, const std::vector<Object>& before);

// Attributes; and type, shape and place of a dataset.  Throws Code::bad_hdf5, Code::truncated,
// Code::limit_exceeded.
void read_details(const json::Value& line, Object& object, std::uint64_t file_size, const Limits& limits);

// True for the line that ends the listing.
bool is_end(const json::Value& line);

}  // namespace ferry::hdf5
