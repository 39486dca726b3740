// The bytes of a dataset that do not lie in the file as they are: chunked, filtered, compact, never written.
#pragma once

#include <cstdint>
#include <functional>

#include "formats/hdf5/helper/library.h"
#include "src/core/bytes.h"

namespace ferry::hdf5::helper {

// Calls `put` with the elements of the dataset whose header lies at `address`, in row-major order, in the
// byte order of the file, a few megabytes at a time.  Throws Code::bad_hdf5 when the dataset does not have
// exactly `size` bytes of elements or cannot be read.
void read_payload(hid_t file, haddr_t address, std::uint64_t size, const std::function<void(Bytes)>& put);

}  // namespace ferry::hdf5::helper
