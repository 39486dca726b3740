// States of random number generators.  2.x takes one size for each device, and refuses what 1.x saved in
// another.
//
// CPU, 5,048 bytes up to PyTorch 1.2, little-endian; 2.x has the same, and 8 bytes behind it:
//
//   0     uint64      seed
//   8     int32       numbers left before the next round, 1 to 624
//   12    int32       seeded, 0 or 1
//   16    uint64      the next word of the state, 0 to 624
//   24    uint64[624] the state of MT19937, each below 2³²
//   5016  double      x, y and rho of the pair of normal numbers made last; in 2.x y is the second number of
//   the pair 5040  int32       whether that number is still to be drawn; 4 bytes of padding 5048  float the
//   same for pairs that were drawn as float32; one byte: whether there is one; 3 of padding
//
// CUDA, 816 bytes up to PyTorch 1.13: 800 of 0xff where a generator of older releases was, then the seed and
// the offset of Philox, the 16 bytes that 2.x keeps.
//
// Source: aten/src/ATen/CPUGeneratorImpl.cpp, aten/src/ATen/cuda/CUDAGeneratorImpl.cpp, and states that
// PyTorch 1.1.0 wrote, which go on drawing the same numbers in 2.13 (fixtures/1.1.0/rng_draws.pth).
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numbers>
#include <optional>
#include <string>

#include "src/convert/joined_source.h"
#include "src/convert/rules/apply.h"
#include "src/core/paths.h"

namespace ferry::convert {
namespace {

constexpr std::size_t kOldCpuSize = 5048, kCpuSize = 5056;
constexpr std::size_t kOldCudaSize = 816, kCudaSize = 16;
constexpr std::size_t kWords = 624;

template <class T>
T field(std::span<const std::byte> bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

bool is_cpu_state(std::span<const std::byte> state) {
  const auto left = field<std::int32_t>(state, 8), seeded = field<std::int32_t>(state, 12);
  const auto valid = field<std::int32_t>(state, 5040);
  if (left < 1 || left > static_cast<std::int32_t>(kWords) || (seeded | 1) != 1 || (valid | 1) != 1 ||
      field<std::uint64_t>(state, 16) > kWords)
    return false;
  for (std::size_t i = 0; i < kWords; ++i)
    if (field<std::uint64_t>(state, 24 + 8 * i) >> 32 != 0) return false;
  return true;
}

// Old releases kept x and rho of a pair until its second number was drawn; 2.x has that number itself in the
// place of y.
std::vector<std::byte> cpu_state(std::vector<std::byte> state) {
  state.resize(kCpuSize);
  if (field<std::int32_t>(state, 5040) == 1) {
    const double second =
        field<double>(state, 5032) * std::sin(2. * std::numbers::pi * field<double>(state, 5016));
    std::memcpy(state.data() + 5024, &second, sizeof second);
  }
  return state;
}

bool is_cuda_state(std::span<const std::byte> state) {
  return std::all_of(state.begin(), state.end() - kCudaSize,
                     [](std::byte octet) { return octet == std::byte{0xff}; });
}

// What 2.x takes instead of the bytes of a tensor; nullopt for all that is no state of a generator.
std::optional<std::vector<std::byte>> converted(std::vector<std::byte> bytes) {
  if (bytes.size() == kOldCpuSize && is_cpu_state(bytes)) return cpu_state(std::move(bytes));
  if (bytes.size() == kOldCudaSize && is_cuda_state(bytes))
    return std::vector<std::byte>(bytes.end() - kCudaSize, bytes.end());
  return std::nullopt;
}

// What to do with the tensor `index` at `path`; `state` is what 2.x takes.
using OnState = void (*)(Checkpoint& checkpoint, std::size_t index, std::vector<std::byte> state,
                         std::string path, std::string words, ChangeLog& log);

void each_old_state(Checkpoint& checkpoint, OnState on_state, ChangeLog& log) {
  if constexpr (std::endian::native != std::endian::little) return;
  std::optional<Paths> paths;
  for (std::size_t i = 0, count = checkpoint.tensors.size(); i < count; ++i) {
    const Tensor& tensor = checkpoint.tensors[i];
    if (tensor.dtype != DType::uint8 || tensor.rank != 1) continue;
    const auto size = static_cast<std::size_t>(numel(checkpoint, tensor));
    if (size != kOldCpuSize && size != kOldCudaSize) continue;
    std::optional<Piece> piece = piece_of(checkpoint, tensor);
    if (!piece) continue;
    auto state = converted(join_pieces("a generator's state", {std::move(*piece)})->read({0, size}));
    if (!state) continue;

    if (!paths) paths.emplace(checkpoint.values, Reach::everything);
    std::string path;
    for (std::size_t visit = 0; visit < paths->visits().size() && path.empty(); ++visit) {
      const NodeId node = paths->visits()[visit].node;
      if (checkpoint.values.kind(node) == Kind::tensor && checkpoint.values.index(node) == i)
        path = paths->path(visit);
    }
    on_state(checkpoint, i, std::move(*state), std::move(path),
             size == kOldCpuSize ? "CPU generator: 5,048 bytes" : "CUDA generator: 816 bytes", log);
  }
}

}  // namespace

void convert_rng_states(Checkpoint& checkpoint, const RuleOptions&, ChangeLog& log) {
  each_old_state(
      checkpoint,
      [](Checkpoint& into, std::size_t index, std::vector<std::byte> state, std::string path,
         std::string words, ChangeLog& to) {
        const std::int64_t shape[] = {static_cast<std::int64_t>(state.size())};
        const std::string after = state.size() == kCpuSize ? "5,056" : "16";
        const std::uint32_t made = into.add_tensor(DType::uint8, shape, std::move(state), false, "rng_state");
        into.tensors[index] = into.tensors[made];
        into.tensors.pop_back();
        to.add(Code::rng_state, std::move(path), words + " → " + after + ", the same seed and place");
      },
      log);
}

void remark_rng_states(Checkpoint& checkpoint, const RuleOptions&, ChangeLog& log) {
  each_old_state(
      checkpoint,
      [](Checkpoint&, std::size_t, std::vector<std::byte> state, std::string path, std::string words,
         ChangeLog& to) {
        to.add(Code::old_rng_state, std::move(path),
               words + ", where 2.x takes " + (state.size() == kCpuSize ? "5,056" : "16") +
                   ": --fix rng_states");
      },
      log);
}

}  // namespace ferry::convert
