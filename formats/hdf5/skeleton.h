// Writing HDF5: the helper makes a file of everything but payloads, and whoever writes the real one puts the
// payloads between.
//
//   const Skeleton skeleton = make_skeleton(objects);
//   FileSink sink(path, skeleton.size, options);
//   write_metadata(skeleton, sink);
//   sink.write_at(skeleton.payloads[i].offset, bytes of objects[i]);   // each exactly payloads[i].size
//   sink.commit();
//
// Payloads are contiguous, row-major and little-endian and begin at multiples of 64.  The same objects give
// the same bytes.  The files are read by HDF5 1.8 and later.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/hdf5/listing.h"
#include "src/core/bytes.h"
#include "src/core/sink.h"

namespace ferry::hdf5 {

struct ColumnSpec {
  std::string name;
  std::string type;  // name of a dtype, or "string:N" for N bytes of UTF-8, padded with NUL
};

struct ObjectSpec {
  std::vector<std::string> path;         // names from the root; empty: the root group, for its attributes
  std::string type;                      // empty: a group; else the name of a dtype, "string:N" or "table"
  std::vector<ColumnSpec> columns = {};  // of a table: rows hold them in this order without gaps
  std::vector<std::int64_t> shape = {};  // empty: one element
  std::vector<Attribute> attributes = {};
};

struct Skeleton {
  struct Run {
    std::uint64_t offset;
    std::vector<std::byte> bytes;
  };
  std::uint64_t size = 0;           // of the whole file
  std::vector<Run> metadata;        // everything that is no payload, in order
  std::vector<ByteRange> payloads;  // by object; size 0 for groups and datasets without elements
};

// Groups on the way to an object are made when they are not named before.  Throws Code::unsupported_value for
// a name that HDF5 cannot hold ("", ".", one with a slash or NUL, no UTF-8) or a type that it has no form
// for, Code::duplicate_record, Code::helper_missing, Code::cannot_write when the helper fails.
Skeleton make_skeleton(std::span<const ObjectSpec> objects);

void write_metadata(const Skeleton& skeleton, FileSink& sink);

// Bytes of an element of a type, or of a row; throws Code::unsupported_value for a type that has no form.
std::uint64_t element_size(std::string_view type);
std::uint64_t row_size(std::span<const ColumnSpec> columns);

// Attributes of one value, and of several in a row.
Attribute text_attribute(std::string name, std::string value);
Attribute integer_attribute(std::string name, std::int64_t value);
Attribute real_attribute(std::string name, double value);
Attribute boolean_attribute(std::string name, bool value);
Attribute text_attribute(std::string name, std::vector<std::string> values);
Attribute integer_attribute(std::string name, std::vector<std::int64_t> values);
Attribute real_attribute(std::string name, std::vector<double> values);

}  // namespace ferry::hdf5
