#include "validators/numeric/tensor_view.h"

namespace ferry::numeric {

std::uint64_t TensorView::numel() const {
  std::uint64_t product = 1;
  for (const std::int64_t size : shape) {
    if (size == 0) return 0;  // at once: what the other sizes claim may not fit
    product *= static_cast<std::uint64_t>(size);
  }
  return product;
}

std::uint64_t TensorView::size_bytes() const { return numel() * info(dtype).itemsize; }

bool TensorView::contiguous() const {
  if (numel() == 0) return true;
  std::int64_t expected = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 1) continue;
    if (strides[i] != expected) return false;
    expected *= shape[i];
  }
  return true;
}

}  // namespace ferry::numeric
