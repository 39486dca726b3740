// What is said about one object: its attributes; type, shape and place of a dataset.  Nothing of its payload
// is read but for strings, which are short and lie anywhere.
#pragma once

#include <cstdint>
#include <vector>

#include "formats/hdf5/helper/library.h"
#include "formats/hdf5/protocol.h"

namespace ferry::hdf5::helper {

void describe_attributes(hid_t object, protocol::LineWriter& line);
void describe_dataset(hid_t dataset, protocol::LineWriter& line);

// The shape of a space; a null space, which has no elements and no shape, is told by `null`.
struct Shape {
  std::vector<hsize_t> dims;
  std::uint64_t count = 0;  // elements
  bool null = false;
};
Shape shape_of(hid_t space);

}  // namespace ferry::hdf5::helper
