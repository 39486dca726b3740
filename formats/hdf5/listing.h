// What the helper says about a file, checked before any of it is believed.
//
// The helper may be wrong (it runs a library that trusts files), so every number it names is held against the
// file here: ranges lie inside it and apart from each other, sizes follow from shape and type, parents come
// before children, names are unique.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/dtype.h"
#include "src/core/limits.h"

namespace ferry::hdf5 {

// A value beside an object: one or several of a kind, in row-major order of the shape.
struct Attribute {
  enum class Kind : std::uint8_t { text, integer, real, boolean, other };
  std::string name;
  Kind kind = Kind::other;
  std::vector<std::int64_t> shape;  // empty: one value
  std::vector<std::string> texts;
  std::vector<std::int64_t> integers;  // also booleans; unsigned ones above 2^63 − 1 are of kind other
  std::vector<double> reals;
  std::string reason;  // of kind other: what it is
};

// A member of the rows of a table.
struct Column {
  std::string name;
  std::string type;  // name of a dtype, "string" (fixed length, padded with NUL), or "unsupported"
  std::uint64_t offset = 0, size = 0;  // in the row
  bool big_endian = false;
};

inline constexpr std::uint32_t kNoObject = 0xffffffff;

struct Object {
  enum class Kind : std::uint8_t {
    group,
    dataset,
    alias,  // a further name of the object `same`
    link,   // something that is told and not followed: `reason`
  };
  enum class Content : std::uint8_t {
    tensor,      // `dtype`
    texts,       // `texts`
    table,       // `columns`
    nothing,     // a dataset without elements and without a shape (h5py.Empty)
    unreadable,  // `reason`
  };

  Kind kind = Kind::group;
  std::uint32_t parent = kNoObject;  // index of the group; kNoObject for the root
  std::uint32_t same = kNoObject;
  std::string name;
  std::vector<Attribute> attributes;
  std::string reason;

  // Of a dataset.
  Content content = Content::unreadable;
  DType dtype = DType::uint8;
  bool big_endian = false;
  std::vector<std::int64_t> shape;
  std::vector<Column> columns;
  std::vector<std::string> texts;
  std::uint64_t itemsize = 0;  // of an element or a row
  std::uint64_t size = 0;      // elements × itemsize
  bool plain = true;           // the payload is bytes [offset, offset + size) of the file
  std::uint64_t offset = 0;
  std::uint64_t address = 0;  // by which the helper knows it

  const Attribute* attribute(std::string_view attribute_name) const;
  // The value of an attribute that is one text.
  std::optional<std::string_view> text_attribute(std::string_view attribute_name) const;
};

// Reads lines until the one that ends the listing; the first object is the root group, parents come before
// children.  Throws Code::bad_hdf5 with the path of the object, Code::duplicate_record,
// Code::limit_exceeded.
std::vector<Object> read_listing(const std::function<std::string_view()>& next_line, std::uint64_t file_size,
                                 const Limits& limits);

// "/model/w", for messages.
std::string path_of(const std::vector<Object>& objects, std::uint32_t index);

}  // namespace ferry::hdf5
