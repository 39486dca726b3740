// What this process takes away from itself before it looks at the file.
#pragma once

#include <cstdint>

namespace ferry::hdf5::helper {

// Memory (address space) and processor time; no core file.  Zero is no limit.
void limit_process(std::uint64_t memory_bytes, std::uint64_t seconds);

// From here on nothing can be opened, so that whatever a file says about other files (links, external data,
// views, plugins) leads nowhere.
void close_the_world();

}  // namespace ferry::hdf5::helper
