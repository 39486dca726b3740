// Texts in a file: names of links, strings in datasets and attributes.
#pragma once

#include <string>
#include <vector>

#include "formats/hdf5/helper/library.h"

namespace ferry::hdf5::helper {

// The strings of a dataset or an attribute, or the reason why they cannot be had.
struct Texts {
  std::vector<std::string> values;
  std::string reason;
};

// `count` is the number of elements of `space`; both are checked against the caps of the protocol before
// anything is read.  Padding is taken off; texts that are no UTF-8 are a reason.
Texts read_dataset_texts(hid_t dataset, hid_t type, hid_t space, std::uint64_t count);
Texts read_attribute_texts(hid_t attribute, hid_t type, hid_t space, std::uint64_t count);

}  // namespace ferry::hdf5::helper
