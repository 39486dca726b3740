#include "formats/torch/module_classes.h"

#include <array>
#include <utility>

#include "src/core/bytes.h"
#include "src/core/text.h"

namespace ferry::torch {
namespace {

// The name without the package that changed: "quantized.modules.linear.Linear".
std::string_view short_name(std::string_view class_name) {
  for (const std::string_view package : {"torch.ao.nn.", "torch.nn.", "torch.ao.", "torch."})
    if (class_name.starts_with(package)) return class_name.substr(package.size());
  return {};
}

struct ClassVersion {
  std::string_view name;  // a pattern
  std::int64_t version;
};

// Classes that can be pickled whole; observers and modules in training for quantization could be only without
// their qconfig.
constexpr auto kVersions = std::to_array<ClassVersion>({
    {"quantized.modules.linear.*", 3},
    {"quantized.dynamic.modules.linear.*", 4},
    {"quantized.dynamic.modules.rnn.LSTM", 2},
    {"quantized.dynamic.modules.rnn.GRU", 2},
    {"intrinsic.quantized.modules.linear_relu.*", 3},
    {"intrinsic.quantized.dynamic.modules.linear_relu.*", 4},
    {"intrinsic.qat.modules.conv_fused.ConvBn*", 2},
    {"quantization.observer.MinMaxObserver", 3},
    {"quantization.observer.MovingAverageMinMaxObserver", 3},
    {"quantization.observer.PerChannelMinMaxObserver", 3},
    {"quantization.observer.MovingAveragePerChannelMinMaxObserver", 3},
    {"quantization.observer.HistogramObserver", 3},
});

bool has_key(const ValueGraph& graph, NodeId dict, std::string_view key) {
  return dict != kNoNode && graph.find(dict, key) != kNoNode;
}

NodeId make_scalar(Checkpoint& checkpoint, std::string_view name, NodeId value) {
  const ValueGraph& graph = checkpoint.values;
  std::vector<std::byte> bytes;
  DType dtype = DType::float32;
  if (graph.kind(value) == Kind::real) {
    const auto number = static_cast<float>(graph.real(value));
    const auto octets = std::as_bytes(std::span(&number, 1));
    bytes.assign(octets.begin(), octets.end());
  } else if (const auto number = graph.as_integer(value)) {
    const auto octets = std::as_bytes(std::span(&*number, 1));
    bytes.assign(octets.begin(), octets.end());
    dtype = DType::int64;
  } else {
    return value;  // a tensor already
  }
  const std::uint32_t index = checkpoint.add_tensor(dtype, {}, std::move(bytes), false, std::string(name));
  return checkpoint.values.make_indexed(Kind::tensor, index);
}

// scale and zero_point: numbers of a module, tensors of its state_dict.
void add_scale(Checkpoint& checkpoint, NodeId scale, NodeId zero_point, std::vector<OwnEntry>& entries) {
  entries.push_back({"scale", make_scalar(checkpoint, "scale", scale)});
  entries.push_back({"zero_point", make_scalar(checkpoint, "zero_point", zero_point)});
}

// (in_channels, out_channels, kernel_size, stride, padding, dilation, transposed, output_padding, groups,
// padding_mode, weight, bias, scale, zero_point, training)
std::vector<OwnEntry> convolution_entries(Checkpoint& checkpoint, NodeId state) {
  const auto items = checkpoint.values.items(state);
  std::vector<OwnEntry> entries{{"weight", items[10]}, {"bias", items[11]}};
  const NodeId scale = items[12], zero_point = items[13];
  add_scale(checkpoint, scale, zero_point, entries);
  return entries;
}

// Packed weights have become what they were packed from: (weight, bias); of an embedding (version, tensors,
// numbers, numbers).
NodeId embedding_weight(const ValueGraph& graph, NodeId packed) {
  const auto parts = graph.items(packed);
  if (graph.kind(packed) != Kind::tuple || parts.size() < 2) return packed;
  const auto tensors = graph.items(parts[1]);
  return tensors.empty() ? packed : tensors[0];
}

}  // namespace

bool is_quantized_convolution(std::string_view class_name) {
  const std::string_view name = short_name(class_name);
  return name.starts_with("quantized.modules.conv.") || name.starts_with("quantized.dynamic.modules.conv.") ||
         name.starts_with("intrinsic.quantized.modules.conv_");
}

std::int64_t module_version(const ValueGraph& graph, std::string_view class_name, NodeId state) {
  if (const NodeId own = graph.find(state, "_version"); own != kNoNode)
    if (const auto number = graph.as_integer(own)) return *number;
  // Norms that track nothing keep None under these names, until 1.x among the parameters.
  for (const std::string_view part : {"_buffers", "_parameters"})
    if (const NodeId dict = graph.find(state, part);
        has_key(graph, dict, "running_mean") && has_key(graph, dict, "num_batches_tracked"))
      return 2;
  const std::string_view name = short_name(class_name);
  for (const ClassVersion& row : kVersions)
    if (glob_match(row.name, name)) return row.version;
  return 1;
}

std::vector<OwnEntry> own_entries(Checkpoint& checkpoint, std::string_view class_name, NodeId state) {
  const ValueGraph& graph = checkpoint.values;
  const std::string_view name = short_name(class_name);
  if (graph.kind(state) == Kind::tuple) return convolution_entries(checkpoint, state);
  if (name.find("quantized.") == std::string_view::npos) return {};
  std::vector<OwnEntry> entries;
  const NodeId scale = graph.find(state, "scale"), zero_point = graph.find(state, "zero_point");
  if (scale != kNoNode && zero_point != kNoNode) add_scale(checkpoint, scale, zero_point, entries);
  for (const std::string_view key :
       {"dtype", "_packed_params", "_packed_weight", "param", "_packed_weight_ih", "_packed_weight_hh"}) {
    const NodeId value = graph.find(state, key);
    if (value == kNoNode) continue;
    // A module's own dtype is an attribute; that of its packed parameters is an entry.
    if (key == "dtype" && !has_key(graph, state, "_packed_params") &&
        !has_key(graph, state, "_packed_weight"))
      continue;
    entries.push_back({key, key == "_packed_weight" ? embedding_weight(graph, value) : value});
  }
  return entries;
}

}  // namespace ferry::torch
