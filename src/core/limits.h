// Everything a file controls has a limit.  Allocation follows from bytes that are present, never from a count
// that is claimed; these are the caps on top of that.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ferry {

struct Limits {
  std::uint64_t pickle_bytes_max = std::uint64_t{1} << 30;       // one pickle program, stored or inflated
  std::uint64_t inflated_pickle_max = std::uint64_t{128} << 20;  // a deflated one: bombs are deflated
  std::size_t depth_max = 1000;         // nesting of values, as Python's own recursion limit
  std::size_t nesting_max = 4;          // checkpoints inside checkpoints
  std::size_t rank_max = 256;           // dimensions of a tensor (numpy stops at 64)
  std::size_t records_max = 4'000'000;  // records of an archive
  // Whether Container::records is filled.  They are shown, and tell who wrote a file and who can load it; who
  // asks neither saves the memory, 10 MB of 100,000.
  bool list_records = true;
};

}  // namespace ferry
