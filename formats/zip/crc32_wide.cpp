#include "formats/zip/crc32_wide.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#include <cstring>
#endif

namespace ferry::zip {

#if defined(__x86_64__) && defined(__GNUC__)

namespace {

// x^n mod P as a factor of the reflected carry-less product, which lacks one bit: the remainder, lowest power
// in the highest bit, moved up by one.  (V. Gopal et al., Fast CRC Computation for Generic Polynomials Using
// PCLMULQDQ Instruction, Intel 2009.)
constexpr std::uint64_t power_of_x(unsigned n) {
  constexpr std::uint32_t kPolynomial = 0xedb88320;
  std::uint32_t remainder = 0x80000000;  // 1
  for (unsigned i = 0; i < n; ++i) remainder = remainder >> 1 ^ (remainder & 1 ? kPolynomial : 0);
  return std::uint64_t{remainder} << 1;
}
static_assert(power_of_x(4 * 128 + 32) == 0x0154442bd4 && power_of_x(128 - 32) == 0x00ccaa009e,
              "the constants of the paper");

// The factors that carry 128 bits over a distance of `bits`: of their first and their second half.
struct Factors {
  std::uint64_t first, second;
};
constexpr Factors factors(unsigned bits) { return {power_of_x(bits + 32), power_of_x(bits - 32)}; }

constexpr std::size_t kLanes = 8;  // enough to hide the latency of a multiplication
constexpr std::size_t kStep = kLanes * sizeof(__m256i);

#define FERRY_WIDE gnu::target("avx2,vpclmulqdq,pclmul"), gnu::always_inline

[[FERRY_WIDE]] inline __m256i both(Factors k) {
  return _mm256_set_epi64x(static_cast<long long>(k.second), static_cast<long long>(k.first),
                           static_cast<long long>(k.second), static_cast<long long>(k.first));
}

// `from` carried over, added to what is there.
[[FERRY_WIDE]] inline __m256i fold(__m256i from, __m256i k, __m256i there) {
  const __m256i product =
      _mm256_xor_si256(_mm256_clmulepi64_epi128(from, k, 0x00), _mm256_clmulepi64_epi128(from, k, 0x11));
  return _mm256_xor_si256(product, there);
}

[[FERRY_WIDE]] inline __m256i load(const std::byte* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}

[[gnu::target("avx2,vpclmulqdq,pclmul")]] FoldedCrc fold_wide(std::uint32_t crc, Bytes bytes) {
  __m256i lanes[kLanes];
  for (std::size_t i = 0; i < kLanes; ++i) lanes[i] = load(bytes.data() + i * sizeof(__m256i));
  lanes[0] = _mm256_xor_si256(lanes[0], _mm256_set_epi32(0, 0, 0, 0, 0, 0, 0, static_cast<int>(~crc)));

  const __m256i over_step = both(factors(8 * kStep));
  std::size_t at = kStep;
  for (; bytes.size() - at >= kStep; at += kStep)
    for (std::size_t i = 0; i < kLanes; ++i)
      lanes[i] = fold(lanes[i], over_step, load(bytes.data() + at + i * sizeof(__m256i)));

  const __m256i over_lane = both(factors(8 * sizeof(__m256i)));
  __m256i sum = lanes[0];
  for (std::size_t i = 1; i < kLanes; ++i) sum = fold(sum, over_lane, lanes[i]);

  // The first half of the last lane is carried over to the second.
  const __m256i over_half = both(factors(128));
  const __m256i carried = fold(sum, over_half, _mm256_setzero_si256());
  const __m128i last = _mm_xor_si128(_mm256_castsi256_si128(carried), _mm256_extracti128_si256(sum, 1));

  FoldedCrc folded{0xffffffff, {}, bytes.subspan(at)};  // ~0: the start is in the block
  std::memcpy(folded.block, &last, sizeof folded.block);
  return folded;
}

}  // namespace

bool has_wide_crc32() {
  static const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("vpclmulqdq") &&
                          __builtin_cpu_supports("pclmul") && !__builtin_cpu_supports("avx512f");
  return has;
}

FoldedCrc fold_crc32(std::uint32_t crc, Bytes bytes) { return fold_wide(crc, bytes); }

#else

bool has_wide_crc32() { return false; }
FoldedCrc fold_crc32(std::uint32_t crc, Bytes bytes) { return {crc, {}, bytes}; }

#endif

}  // namespace ferry::zip
