// The way back: PyTorch before 1.12 counts steps in integers.  Its optimizers would take a tensor, and then
// compute bias corrections in float32 that they used to compute in double.
#include <bit>
#include <cmath>
#include <optional>
#include <string>

#include "src/convert/optimizer.h"
#include "src/convert/rules/apply.h"
#include "src/convert/wording.h"
#include "src/core/paths.h"

namespace ferry::convert {
namespace {

// The number that a tensor without dimensions holds, where it is whole.
std::optional<std::int64_t> count_in(const Checkpoint& checkpoint, NodeId id) {
  if (id == kNoNode || checkpoint.values.kind(id) != Kind::tensor) return std::nullopt;
  const Tensor& tensor = checkpoint.tensors[checkpoint.values.index(id)];
  if (tensor.rank != 0 || tensor.storage == kNoStorage || tensor.negated) return std::nullopt;
  const Storage& storage = checkpoint.storages[tensor.storage];
  if (storage.bytes.compression != Compression::stored || storage.bytes.big_endian || !storage.parts.empty())
    return std::nullopt;
  const std::uint64_t size = info(tensor.dtype).itemsize;
  const auto bytes = storage.bytes.source->read(
      {storage.bytes.offset + static_cast<std::uint64_t>(tensor.offset) * size, size});
  if (tensor.dtype == DType::int64) return static_cast<std::int64_t>(load_le<std::uint64_t>(bytes.data()));
  double value = 0;
  if (tensor.dtype == DType::float32)
    value = std::bit_cast<float>(load_le<std::uint32_t>(bytes.data()));
  else if (tensor.dtype == DType::float64)
    value = std::bit_cast<double>(load_le<std::uint64_t>(bytes.data()));
  else
    return std::nullopt;
  constexpr double kMost = 9007199254740992.0;  // 2^53
  if (!(std::abs(value) <= kMost) || value != std::trunc(value)) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

}  // namespace

void steps_to_integers(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log) {
  if (!options.integer_steps) return;
  ValueGraph& graph = checkpoint.values;
  for (const Optimizer& optimizer : find_optimizers(graph)) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < graph.entry_count(optimizer.state); ++i) {
      const NodeId entry = graph.entry(optimizer.state, i).value;
      if (graph.kind(entry) != Kind::dict) continue;
      const auto value = count_in(checkpoint, graph.find(entry, "step"));
      if (!value) continue;
      graph.set_entry(entry, "step", graph.make_integer(*value));
      ++count;
    }
    if (count > 0)
      log.add(Code::steps_to_integers, join_path(optimizer.path, "state"),
              counted(count, "step count") + " → integers");
  }
}

}  // namespace ferry::convert
