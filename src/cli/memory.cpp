#include "src/cli/memory.h"

#include <cstddef>
#include <cstdlib>
#include <new>

#ifdef __linux__
#include <sys/mman.h>
#endif
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace ferry::cli {

void give_back_large_blocks() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
}

}  // namespace ferry::cli

// Arrays of megabytes lie in huge pages where the system has them for those who ask: what 100,000 tensors
// need is touched once, and a quarter of the time would go into 90,000 page faults.  The sanitizers bring an
// operator new of their own.
#if defined(__linux__) && !defined(FERRY_SANITIZED)
namespace {
constexpr std::size_t kHugePage = std::size_t{2} << 20, kLarge = 2 * kHugePage;

void* allocate(std::size_t size) {
  if (size < kLarge) return std::malloc(size == 0 ? 1 : size);
  const std::size_t rounded = (size + kHugePage - 1) / kHugePage * kHugePage;
  if (rounded < size) return nullptr;  // more than can be addressed
  void* const block = std::aligned_alloc(kHugePage, rounded);
  if (block != nullptr) madvise(block, size, MADV_HUGEPAGE);  // a wish: nothing is lost where it is refused
  return block;
}
}  // namespace

void* operator new(std::size_t size) {
  for (;;) {
    if (void* const block = allocate(size)) return block;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }
#endif
