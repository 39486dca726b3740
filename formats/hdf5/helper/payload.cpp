#include "formats/hdf5/helper/payload.h"

#include <algorithm>
#include <vector>

#include "formats/hdf5/helper/describe.h"
#include "formats/hdf5/helper/types.h"
#include "src/core/checked.h"
#include "src/core/error.h"

namespace ferry::hdf5::helper {
namespace {

constexpr std::uint64_t kPieceBytes = 4 << 20;

// Boxes that follow each other in row-major order without gaps: whole below `axis`, a few rows along it, one
// index above it.
class Pieces {
 public:
  Pieces(const std::vector<hsize_t>& dims, std::uint64_t itemsize)
      : dims_(dims), start_(dims.size()), count_(dims.size(), 1) {
    std::uint64_t inner = itemsize;  // bytes of one step along the axis
    axis_ = dims.size() - 1;
    while (axis_ > 0 && inner * dims[axis_] <= kPieceBytes) inner *= dims[axis_--];
    std::copy(dims.begin() + static_cast<std::ptrdiff_t>(axis_) + 1, dims.end(),
              count_.begin() + static_cast<std::ptrdiff_t>(axis_) + 1);
    rows_ = std::max<hsize_t>(1, kPieceBytes / inner);
    inner_ = inner;
    fit();
  }

  const hsize_t* start() const { return start_.data(); }
  const hsize_t* count() const { return count_.data(); }
  std::size_t size_bytes() const { return static_cast<std::size_t>(count_[axis_] * inner_); }

  bool advance() {
    start_[axis_] += count_[axis_];
    std::size_t axis = axis_;
    while (start_[axis] == dims_[axis]) {
      if (axis == 0) return false;
      start_[axis--] = 0;
      ++start_[axis];
    }
    fit();
    return true;
  }

 private:
  void fit() { count_[axis_] = std::min(rows_, dims_[axis_] - start_[axis_]); }

  const std::vector<hsize_t>& dims_;
  std::vector<hsize_t> start_, count_;
  std::size_t axis_ = 0;
  hsize_t rows_ = 1;
  std::uint64_t inner_ = 1;
};

// Memory type and file type are one, so that the library converts nothing.
void read_pieces(hid_t dataset, hid_t type, hid_t space, const Shape& shape, std::uint64_t itemsize,
                 const std::function<void(Bytes)>& put) {
  std::vector<std::byte> buffer;
  Pieces pieces(shape.dims, itemsize);
  do {
    buffer.resize(pieces.size_bytes());
    check(H5Sselect_hyperslab(space, H5S_SELECT_SET, pieces.start(), nullptr, pieces.count(), nullptr),
          "select a part of a dataset");
    const Handle memory = own(H5Screate_simple(static_cast<int>(shape.dims.size()), pieces.count(), nullptr),
                              "describe a buffer");
    check(H5Dread(dataset, type, memory.get(), space, H5P_DEFAULT, buffer.data()), "read a dataset");
    put(buffer);
  } while (pieces.advance());
}

bool has_fixed_size(const TypeDescription& type) {
  return type.name != "unsupported" && !type.variable &&
         std::none_of(type.columns.begin(), type.columns.end(),
                      [](const ColumnType& column) { return column.type == "unsupported"; });
}

}  // namespace

void read_payload(hid_t file, haddr_t address, std::uint64_t size, const std::function<void(Bytes)>& put) {
  const Handle dataset = own(H5Oopen_by_addr(file, address), "open a dataset");
  if (H5Iget_type(dataset.get()) != H5I_DATASET) throw Error(Code::bad_hdf5, "no dataset").at(address);
  const Handle type = own(H5Dget_type(dataset.get()), "read the type of a dataset");
  const Handle space = own(H5Dget_space(dataset.get()), "read the shape of a dataset");
  const TypeDescription described = describe_type(type.get());
  const Shape shape = shape_of(space.get());
  if (!has_fixed_size(described)) throw Error(Code::bad_hdf5, "elements of varying size").at(address);
  const auto expected = checked_mul(shape.count, described.itemsize);
  if (!expected || *expected != size)
    throw Error(Code::bad_hdf5, "the dataset does not have " + std::to_string(size) + " bytes").at(address);
  if (size == 0) return;
  if (!shape.dims.empty())
    return read_pieces(dataset.get(), type.get(), space.get(), shape, described.itemsize, put);
  std::vector<std::byte> one(static_cast<std::size_t>(size));
  check(H5Dread(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, one.data()), "read a dataset");
  put(one);
}

}  // namespace ferry::hdf5::helper
