#include "formats/hdf5/helper/describe.h"

#include <string>

#include "formats/hdf5/helper/texts.h"
#include "formats/hdf5/helper/types.h"
#include "src/core/checked.h"
#include "src/core/error.h"

namespace ferry::hdf5::helper {
namespace {

using protocol::LineWriter;

// How the client gets at the bytes of a dataset.
struct Place {
  enum class Kind { plain, pipe, none } kind = Kind::pipe;
  std::uint64_t offset = 0;
  std::string reason;  // why the bytes cannot be had
};

// A filter that is missing here, such as h5py's lzf, would only be found when the payload is read.
std::string missing_filter(hid_t properties) {
  const int count = H5Pget_nfilters(properties);
  if (count < 0) return "filters that the HDF5 library cannot list";
  for (unsigned i = 0; i < static_cast<unsigned>(count); ++i) {
    unsigned flags = 0;
    std::size_t values = 0;
    char name[64] = "";
    const H5Z_filter_t filter =
        H5Pget_filter2(properties, i, &flags, &values, nullptr, sizeof name, name, nullptr);
    if (filter < 0) return "a filter that the HDF5 library cannot describe";
    if (H5Zfilter_avail(filter) <= 0)
      return "filter " + std::to_string(filter) + ", which the HDF5 library here does not have";
  }
  return "";
}

Place find_place(hid_t dataset) {
  const Handle properties = own(H5Dget_create_plist(dataset), "read the layout of a dataset");
  if (H5Pget_external_count(properties.get()) != 0) return {Place::Kind::none, 0, "data kept in other files"};
  const H5D_layout_t layout = H5Pget_layout(properties.get());
  if (layout == H5D_VIRTUAL) return {Place::Kind::none, 0, "a view of other datasets"};
  if (layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED && layout != H5D_COMPACT)
    return {Place::Kind::none, 0, "a layout that is not known"};
  if (std::string reason = missing_filter(properties.get()); !reason.empty())
    return {Place::Kind::none, 0, std::move(reason)};
  // What was never written has no place, which H5Dget_offset does not tell in a file with a user block.
  H5D_space_status_t status = H5D_SPACE_STATUS_ERROR;
  check(H5Dget_space_status(dataset, &status), "find the data of a dataset");
  if (layout != H5D_CONTIGUOUS || status == H5D_SPACE_STATUS_NOT_ALLOCATED) return {Place::Kind::pipe, 0, ""};
  return {Place::Kind::plain, H5Dget_offset(dataset), ""};
}

void tell_place(hid_t dataset, const Shape& shape, LineWriter& line) {
  if (shape.count == 0) return;
  const Place place = find_place(dataset);
  line.key("stored").natural(H5Dget_storage_size(dataset));
  if (place.kind == Place::Kind::none) line.key("reason").text(place.reason);
  if (place.kind == Place::Kind::plain) line.key("offset").natural(place.offset);
  if (place.kind == Place::Kind::pipe) line.key("pipe").boolean(true);
}

void tell_columns(const TypeDescription& type, LineWriter& line) {
  line.key("columns").begin('[');
  for (const ColumnType& column : type.columns) {
    line.begin('{').key("name").text(column.name).key("type").text(column.type);
    line.key("offset").natural(column.offset).key("size").natural(column.size);
    if (column.big_endian) line.key("big_endian").boolean(true);
    line.end('}');
  }
  line.end(']');
}

void tell_texts(hid_t dataset, hid_t type, hid_t space, const Shape& shape, LineWriter& line) {
  if (const Place place = find_place(dataset); place.kind == Place::Kind::none) {
    line.key("reason").text(place.reason);
    return;
  }
  const Texts texts = read_dataset_texts(dataset, type, space, shape.count);
  if (!texts.reason.empty()) {
    line.key("reason").text(texts.reason);
    return;
  }
  line.key("texts").begin('[');
  for (const std::string& text : texts.values) line.text(text);
  line.end(']');
}

}  // namespace

Shape shape_of(hid_t space) {
  Shape shape;
  const H5S_class_t kind = H5Sget_simple_extent_type(space);
  if (kind == H5S_NO_CLASS) fail("read a shape");
  shape.null = kind == H5S_NULL;
  if (shape.null) return shape;
  const int rank = H5Sget_simple_extent_ndims(space);
  if (rank < 0 || rank > H5S_MAX_RANK) fail("read a shape");
  shape.dims.resize(static_cast<std::size_t>(rank));
  if (rank > 0) check(H5Sget_simple_extent_dims(space, shape.dims.data(), nullptr), "read a shape");
  // The library's own product of the dimensions wraps.
  std::vector<std::int64_t> dims;
  for (const hsize_t dim : shape.dims) {
    if (dim > INT64_MAX) throw Error(Code::bad_hdf5, "a shape with a dimension above 2^63");
    dims.push_back(static_cast<std::int64_t>(dim));
  }
  const auto count = checked_numel(dims);
  if (!count) throw Error(Code::bad_hdf5, "a shape with more than 2^63 elements");
  shape.count = static_cast<std::uint64_t>(*count);
  return shape;
}

void describe_dataset(hid_t dataset, LineWriter& line) {
  const Handle type = own(H5Dget_type(dataset), "read the type of a dataset");
  const Handle space = own(H5Dget_space(dataset), "read the shape of a dataset");
  const Shape shape = shape_of(space.get());
  const TypeDescription described = describe_type(type.get());
  line.key("type").text(described.name).key("itemsize").natural(described.itemsize);
  if (described.big_endian) line.key("big_endian").boolean(true);
  if (shape.null) {
    line.key("null").boolean(true);
    return;
  }
  line.key("shape").begin('[');
  for (const hsize_t dim : shape.dims) line.natural(dim);
  line.end(']');
  if (!described.reason.empty()) line.key("reason").text(described.reason);
  if (described.name == "unsupported") return;
  if (described.name == "table") tell_columns(described, line);
  if (described.name == "string")
    tell_texts(dataset, type.get(), space.get(), shape, line);
  else
    tell_place(dataset, shape, line);
}

}  // namespace ferry::hdf5::helper
