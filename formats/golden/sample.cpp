#include "formats/golden/sample.h"

namespace ferry::golden {
namespace {

// Knuth's generator for 64 bits (MMIX); its high bits are the good ones.
std::uint64_t next(std::uint64_t x) { return 6364136223846793005u * x + 1442695040888963407u; }

// ⌊k · numel / samples⌋, whose product may need more than 64 bits.
std::uint64_t stratum(std::uint64_t k, std::uint64_t numel, std::uint64_t samples) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>(Wide{k} * numel / samples);
}

}  // namespace

std::vector<std::uint64_t> sample_indices(std::uint64_t numel, std::uint64_t samples) {
  std::vector<std::uint64_t> indices;
  if (samples == 0 || numel <= samples) {
    for (std::uint64_t i = 0; i < numel; ++i) indices.push_back(i);
    return indices;
  }
  indices.reserve(samples);
  std::uint64_t x = numel;
  for (std::uint64_t k = 0; k < samples; ++k) {
    x = next(x);
    const std::uint64_t low = stratum(k, numel, samples), high = stratum(k + 1, numel, samples);
    indices.push_back(low + (x >> 33) % (high - low));
  }
  return indices;
}

}  // namespace ferry::golden
