#include "src/core/checked.h"

namespace ferry {

std::optional<std::int64_t> checked_numel(std::span<const std::int64_t> shape) {
  std::int64_t numel = 1;
  for (std::int64_t size : shape) {
    if (size < 0) return std::nullopt;
    // A zero must not hide a product that wraps elsewhere, so zeros are left out of the running product.
    auto product = checked_mul(numel, size == 0 ? 1 : size);
    if (!product) return std::nullopt;
    numel = *product;
  }
  for (std::int64_t size : shape)
    if (size == 0) return 0;
  return numel;
}

std::optional<std::int64_t> checked_extent(std::span<const std::int64_t> shape,
                                           std::span<const std::int64_t> strides, std::int64_t offset) {
  if (offset < 0) return std::nullopt;
  auto numel = checked_numel(shape);
  if (!numel) return std::nullopt;
  std::int64_t last = offset;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (strides[i] < 0) return std::nullopt;
    if (shape[i] == 0) continue;
    auto reach = checked_mul(shape[i] - 1, strides[i]);
    auto sum = reach ? checked_add(last, *reach) : std::nullopt;
    if (!sum) return std::nullopt;
    last = *sum;
  }
  if (*numel == 0) return offset;
  return checked_add(last, 1);
}

}  // namespace ferry
