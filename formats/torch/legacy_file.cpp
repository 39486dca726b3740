// The stream that PyTorch 0.4 … 1.5 read.  Source: torch/serialization.py, _legacy_save and _legacy_load, of
// 1.1.0 and 1.4.0.
#include <algorithm>
#include <set>
#include <string>

#include "formats/pickle/emitter.h"
#include "formats/torch/encode.h"
#include "formats/torch/legacy_layout.h"
#include "formats/torch/readers.h"
#include "formats/torch/write.h"
#include "src/core/error.h"
#include "src/core/limits.h"
#include "src/core/paths.h"
#include "src/core/text.h"

namespace ferry::torch {
namespace {

using pickle::Emitter;
using pickle::Op;

constexpr std::size_t kCountBytes = 8;

void append(std::vector<std::byte>& out, const std::vector<std::byte>& bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

template <typename Fill>
void append_program(std::vector<std::byte>& out, Fill fill) {
  Emitter emitter;
  emitter.proto();
  fill(emitter);
  emitter.op(Op::stop);
  append(out, emitter.take());
}

// Magic number, protocol, and what is said of the machine.
std::vector<std::byte> stream_head() {
  std::vector<std::byte> out;
  append_program(out, [](Emitter& to) { to.big_integer(legacy::kMagicOctets); });
  append_program(out, [](Emitter& to) { to.integer(legacy::kProtocol); });
  append_program(out, [](Emitter& to) {
    to.op(Op::empty_dict);
    to.op(Op::mark);
    to.text("protocol_version");
    to.integer(legacy::kProtocol);
    to.text("little_endian");
    to.boolean(true);
    to.text("type_sizes");
    to.op(Op::empty_dict);
    to.op(Op::mark);
    for (const auto& [name, size] : {std::pair{"short", 2}, std::pair{"int", 4}, std::pair{"long", 4}}) {
      to.text(name);
      to.integer(size);
    }
    to.op(Op::setitems);
    to.op(Op::setitems);
  });
  return out;
}

// Keys as torch sorts them: as text.
std::vector<std::size_t> sorted_keys(std::size_t count) {
  std::vector<std::pair<std::string, std::size_t>> keys;
  keys.reserve(count);
  for (std::size_t i = 0; i < count; ++i) keys.emplace_back(std::to_string(i), i);
  std::sort(keys.begin(), keys.end());
  std::vector<std::size_t> order;
  for (const auto& [text, number] : keys) order.push_back(number);
  return order;
}

void append_keys(std::vector<std::byte>& out, const std::vector<std::size_t>& order) {
  constexpr std::size_t kListBatch = 1000;
  append_program(out, [&](Emitter& to) {
    to.op(Op::empty_list);
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (i % kListBatch == 0) to.op(Op::mark);
      to.text(std::to_string(order[i]));
      if (i % kListBatch == kListBatch - 1 || i + 1 == order.size()) to.op(Op::appends);
    }
  });
}

// --- What no PyTorch before 1.6 reads

// The types that PyTorch 1.5 has storages of.
bool has_storage(DType dtype) {
  switch (dtype) {
    case DType::uint8:
    case DType::int8:
    case DType::int16:
    case DType::int32:
    case DType::int64:
    case DType::float16:
    case DType::float32:
    case DType::float64:
    case DType::boolean:
    case DType::bfloat16:
      return true;
    default:
      return false;
  }
}

// Empty when it can be held.
std::string obstacle(const Checkpoint& checkpoint, NodeId id) {
  const ValueGraph& graph = checkpoint.values;
  const auto no_storage = [](DType dtype) {
    return "PyTorch before 1.6 has no storages of " + std::string(info(dtype).name);
  };
  switch (graph.kind(id)) {
    case Kind::storage: {
      const Storage& storage = checkpoint.storages[graph.index(id)];
      if (storage.untyped) return "PyTorch before 1.6 has no untyped storages";
      return has_storage(storage.dtype) ? "" : no_storage(storage.dtype);
    }
    case Kind::tensor: {
      const Tensor& tensor = checkpoint.tensors[graph.index(id)];
      if (tensor.storage == kNoStorage) return "PyTorch before 1.6 has no meta tensors";
      if (tensor.conjugated || tensor.negated) return "PyTorch before 1.6 has no lazily negated views";
      if (!has_storage(tensor.dtype)) return no_storage(tensor.dtype);
      return checkpoint.storages[tensor.storage].untyped ? "PyTorch before 1.6 has no untyped storages" : "";
    }
    case Kind::composite: {
      const Composite form = graph.composite(id);
      if (form == Composite::sparse_coo || is_quantized(form))
        return "";  // the integers are judged by themselves
      return "PyTorch before 1.6 has no " + std::string(composite_name(form)) + " tensors";
    }
    case Kind::dtype: {
      const DType dtype = static_cast<DType>(graph.index(id));
      const bool complex = dtype == DType::complex64 || dtype == DType::complex128;  // since 1.0, by name
      if (has_storage(dtype) || complex) return "";
      return "PyTorch before 1.6 has no torch." + std::string(info(dtype).name);
    }
    default:
      return "";
  }
}

void refuse_unknown(const Checkpoint& checkpoint) {
  const Paths paths(checkpoint.values, Reach::everything);
  for (std::size_t visit = 0; visit < paths.visits().size(); ++visit) {
    const std::string what = obstacle(checkpoint, paths.visits()[visit].node);
    if (what.empty()) continue;
    throw Error(Code::target_lacks, what)
        .in("in " + quote(paths.path(visit)))
        .with_hint("leave it out with --exclude, or write another target");
  }
}

}  // namespace

LegacyFile::LegacyFile(const Checkpoint& checkpoint) {
  refuse_unknown(checkpoint);
  EncodedProgram program = encode(checkpoint, Dialect::legacy);
  const std::vector<std::size_t> order = sorted_keys(program.storage_order.size());
  std::vector<std::byte> head = stream_head();
  append(head, program.bytes);
  append_keys(head, order);

  plan_.records.reserve(order.size() + 1);
  copy::Record& first = plan_.records.emplace_back();
  first.name = "pickles";
  first.size = first.end = head.size();
  first.made = std::move(head);
  counts_.push_back(0);
  std::uint64_t offset = first.end;
  for (const std::size_t key : order) {
    copy::Record& record = plan_.records.emplace_back();
    record.name = std::to_string(key);
    record.storage = program.storage_order[key];
    const Storage& storage = checkpoint.storages[record.storage];
    record.begin = offset;
    record.data_offset = offset + kCountBytes;
    record.size = storage.kept_size();
    record.end = offset = record.data_offset + record.size;
    counts_.push_back(record.size / info(storage.dtype).itemsize);
    tensor_bytes_ += record.size;
  }
  plan_.size = offset;
}

void LegacyFile::put_before(std::size_t i, std::uint32_t, std::span<std::byte> out) const {
  if (!out.empty()) store_le<std::uint64_t>(out.data(), counts_[i]);
}

void LegacyFile::verify_structure(const ByteSource& written, const std::vector<std::uint32_t>&) const {
  const Checkpoint read = open_legacy(SourcePtr(SourcePtr(), &written), Limits{});
  if (read.storages.size() + 1 != plan_.records.size())
    copy::fail_verification("it has " + std::to_string(read.storages.size()) + " storages", "pickles");
  std::vector<std::pair<std::uint64_t, std::uint64_t>> found, planned;
  for (const Storage& storage : read.storages) found.emplace_back(storage.bytes.offset, storage.bytes.size);
  for (std::size_t i = 1; i < plan_.records.size(); ++i)
    planned.emplace_back(plan_.records[i].data_offset, plan_.records[i].size);
  std::sort(found.begin(), found.end());
  std::sort(planned.begin(), planned.end());
  if (found != planned) copy::fail_verification("a storage has another size or place", "pickles");
}

std::string newer_than_1_1(const Checkpoint& checkpoint) {
  std::set<std::string_view> types;
  const ValueGraph& graph = checkpoint.values;
  for (const NodeId id : graph.reachable()) {
    if (graph.kind(id) != Kind::tensor) continue;
    const DType dtype = checkpoint.tensors[graph.index(id)].dtype;
    if (dtype == DType::boolean || dtype == DType::bfloat16) types.insert(info(dtype).name);
  }
  std::string names;
  for (const std::string_view name : types) names += (names.empty() ? "" : ", ") + std::string(name);
  return names;
}

}  // namespace ferry::torch
