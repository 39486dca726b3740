#include "formats/hdf5/helper/limits.h"

#include <sys/resource.h>

#include <algorithm>

namespace ferry::hdf5::helper {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;  // shadow memory is terabytes of address space; reports open files
#else
constexpr bool kSanitized = false;
#endif

// Lowers the soft limit and leaves the hard one, so that torchferry may grant more time later.
void lower(__rlimit_resource which, std::uint64_t value) {
  struct rlimit limit {};
  if (::getrlimit(which, &limit) != 0) return;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_cur, value);
  ::setrlimit(which, &limit);
}

}  // namespace

void limit_process(std::uint64_t memory_bytes, std::uint64_t seconds) {
  lower(RLIMIT_CORE, 0);
  if (memory_bytes != 0 && !kSanitized) lower(RLIMIT_AS, memory_bytes);
  if (seconds != 0) lower(RLIMIT_CPU, seconds);
}

void close_the_world() {
  if (!kSanitized) lower(RLIMIT_NOFILE, 0);
}

}  // namespace ferry::hdf5::helper
