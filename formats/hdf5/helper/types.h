// Element types: what the library calls them and what torchferry calls them.
//
// Ours are the names of src/core/dtype.h.  HDF5 has no bool and no complex numbers; they are kept as h5py
// keeps them (h5py/h5t.pyx): an enum of int8 {FALSE = 0, TRUE = 1}, a compound {r, i}.  For bfloat16 and the
// types of 8 bits our files hold unsigned integers and an attribute `dtype` with the name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/hdf5/helper/library.h"

namespace ferry::hdf5::helper {

struct ColumnType {
  std::string name;
  std::string type;  // name of a dtype, "string" (fixed length), or "unsupported"
  std::uint64_t offset = 0, size = 0;
  bool big_endian = false;
};

struct TypeDescription {
  std::string name;    // of a dtype, "string", "table", or "unsupported"
  std::string reason;  // why it is unsupported
  std::uint64_t itemsize = 0;
  bool big_endian = false;
  bool variable = false;            // strings that lie elsewhere in the file
  std::vector<ColumnType> columns;  // of a table
};

TypeDescription describe_type(hid_t type);

// The type that a dtype, or "string:N", is written as.  Throws Code::bad_usage for a name that is neither.
Handle make_type(std::string_view name);

// True when the written type does not say which dtype it is, so that an attribute has to.
bool needs_mark(std::string_view name);

}  // namespace ferry::hdf5::helper
