// Projections of attention: nn.MultiheadAttention keeps those of q, k and v in one tensor, many others
// (fairseq, most hand-written ones) in three modules.
//
//   in_proj_weight [3·E, E], in_proj_bias [3·E]     q_proj.weight, k_proj.weight, v_proj.weight [E, E] and
//   biases
//
// Where k or v have another width, nn.MultiheadAttention has q_proj_weight, k_proj_weight, v_proj_weight. The
// three are joined in the order q, k, v; apart they are views on the one.
// Source: torch/nn/modules/activation.py (MultiheadAttention.__init__).
#include <algorithm>
#include <array>
#include <optional>

#include "src/convert/joined_source.h"
#include "src/convert/layout_fix.h"
#include "src/convert/rules/apply.h"

namespace ferry::convert {
namespace {

using Three = std::array<std::string, 3>;

Three parts_of(const std::string& stem, std::string_view tail) {
  Three parts;
  for (std::size_t i = 0; i < 3; ++i)
    parts[i] = stem + std::string(1, "qkv"[i]) + "_proj" + std::string(tail);
  return parts;
}

bool has_all(const NamedTensors& tensors, const Three& names) {
  return std::all_of(names.begin(), names.end(),
                     [&](const std::string& name) { return tensors.find(name) != kNoNode; });
}

bool has_any(const NamedTensors& tensors, const Three& names) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) { return tensors.has(name); });
}

// One tensor of three, one behind the other along the first dimension; nullopt when they do not allow it.
std::optional<NodeId> joined(Checkpoint& checkpoint, const NamedTensors& tensors, const Three& names) {
  std::vector<Piece> pieces;
  std::uint64_t size = 0;
  if (tensors.shape(names[0]).empty()) return std::nullopt;
  const Tensor first = checkpoint.tensors[checkpoint.values.index(tensors.find(names[0]))];
  for (const std::string& name : names) {
    const Tensor& tensor = checkpoint.tensors[checkpoint.values.index(tensors.find(name))];
    const auto piece = piece_of(checkpoint, tensor);
    if (!piece || tensor.dtype != first.dtype || tensors.shape(name) != tensors.shape(names[0]))
      return std::nullopt;
    pieces.push_back(*piece);
    size += piece->range.size;
  }
  Shape shape = tensors.shape(names[0]);
  shape[0] *= 3;
  Storage storage = checkpoint.storages[first.storage];
  storage.key = "in_proj";
  storage.numel = static_cast<std::int64_t>(size / (storage.untyped ? 1 : info(storage.dtype).itemsize));
  storage.bytes = {join_pieces(names[0] + " and its neighbours", std::move(pieces)),
                   0,
                   size,
                   size,
                   Compression::stored,
                   false,
                   std::nullopt};
  checkpoint.storages.push_back(std::move(storage));
  Shape strides(shape.size(), 1);
  for (std::size_t i = shape.size() - 1; i > 0; --i)
    strides[i - 1] = strides[i] * std::max<std::int64_t>(shape[i], 1);
  Tensor made = first;
  made.storage = static_cast<std::uint32_t>(checkpoint.storages.size() - 1);
  made.offset = 0;
  made.dims = checkpoint.add_dims(shape, strides);
  checkpoint.tensors.push_back(made);
  return checkpoint.values.make_indexed(Kind::tensor,
                                        static_cast<std::uint32_t>(checkpoint.tensors.size() - 1));
}

void replace(NamedTensors& tensors, const Three& names, const std::string& after, NodeId value) {
  tensors.set(names[0], value);
  tensors.rename(names[0], after);
  tensors.remove(names[1]);
  tensors.remove(names[2]);
}

void join_all(NamedTensors& tensors) {
  for (const std::string& name : tensors.names()) {
    if (!name.ends_with("q_proj.weight")) continue;
    const std::string stem = name.substr(0, name.size() - std::string_view("q_proj.weight").size());
    const std::string module = stem.empty() ? "" : stem.substr(0, stem.size() - 1);
    if ((!stem.empty() && stem.back() != '.') || !tensors.in_scope(module)) continue;
    const Three weights = parts_of(stem, ".weight"), biases = parts_of(stem, ".bias");
    if (!has_all(tensors, weights)) continue;
    if (!tensors.has(stem + "out_proj.weight")) {
      tensors.left(module, "it has no out_proj, so it is not built as nn.MultiheadAttention");
    } else if (has_any(tensors, biases) != has_all(tensors, biases)) {
      tensors.left(module, "only some of its projections have a bias");
    } else if (tensors.has(stem + "in_proj_weight") || tensors.has(stem + "in_proj_bias") ||
               has_any(tensors, parts_of(stem, "_weight"))) {
      tensors.left(module, "it has an in_proj as well");
    } else {
      Checkpoint& checkpoint = tensors.checkpoint();
      const bool one_width = tensors.shape(weights[0]) == tensors.shape(weights[1]) &&
                             tensors.shape(weights[0]) == tensors.shape(weights[2]);
      const bool with_bias = has_all(tensors, biases);
      const auto weight = one_width ? joined(checkpoint, tensors, weights) : std::nullopt;
      const auto bias = with_bias ? joined(checkpoint, tensors, biases) : std::nullopt;
      if ((one_width && !weight) || (with_bias && !bias)) {
        tensors.left(module, "its projections are not stored in one run each, or are of several types");
        continue;
      }
      if (one_width)
        replace(tensors, weights, stem + "in_proj_weight", *weight);
      else
        for (std::size_t i = 0; i < 3; ++i) tensors.rename(weights[i], parts_of(stem, "_weight")[i]);
      if (with_bias) replace(tensors, biases, stem + "in_proj_bias", *bias);
      tensors.done(module.empty() ? "the root module" : module);
    }
  }
}

// A third of a tensor along its first dimension, as a view.
NodeId third(Checkpoint& checkpoint, NodeId whole, std::int64_t which) {
  Tensor part = checkpoint.tensors[checkpoint.values.index(whole)];
  const auto shape = checkpoint.shape(part), strides = checkpoint.strides(part);
  Shape rows(shape.begin(), shape.end());
  const Shape steps(strides.begin(), strides.end());
  rows[0] /= 3;
  part.offset += which * rows[0] * steps[0];
  part.dims = checkpoint.add_dims(rows, steps);
  checkpoint.tensors.push_back(part);
  return checkpoint.values.make_indexed(Kind::tensor,
                                        static_cast<std::uint32_t>(checkpoint.tensors.size() - 1));
}

void split_one(NamedTensors& tensors, const std::string& name, const Three& parts) {
  const NodeId whole = tensors.find(name);
  tensors.set(name, third(tensors.checkpoint(), whole, 0));
  tensors.rename(name, parts[0]);
  for (std::size_t i = 1; i < 3; ++i)
    tensors.add_behind(parts[0], parts[i], third(tensors.checkpoint(), whole, static_cast<std::int64_t>(i)));
}

bool is_third(const NamedTensors& tensors, const std::string& name) {
  return tensors.find(name) == kNoNode || (!tensors.shape(name).empty() && tensors.shape(name)[0] % 3 == 0);
}

void split_all(NamedTensors& tensors) {
  for (const std::string& name : tensors.names()) {
    const std::string leaf = leaf_of(name);
    if ((leaf != "in_proj_weight" && leaf != "q_proj_weight") || tensors.find(name) == kNoNode) continue;
    const std::string module = module_of(name), stem = module.empty() ? "" : module + ".";
    if (!tensors.in_scope(module)) continue;
    const Three weights = parts_of(stem, ".weight"), biases = parts_of(stem, ".bias");
    const std::string bias = stem + "in_proj_bias";
    const bool apart = leaf == "q_proj_weight";
    if (has_any(tensors, weights) || has_any(tensors, biases)) {
      tensors.left(module, "it has q_proj, k_proj or v_proj as well");
    } else if ((!apart && !is_third(tensors, name)) || !is_third(tensors, bias) ||
               (apart && !has_all(tensors, parts_of(stem, "_weight")))) {
      tensors.left(module, "its in_proj does not come in three parts");
    } else {
      if (apart)
        for (std::size_t i = 0; i < 3; ++i) tensors.rename(parts_of(stem, "_weight")[i], weights[i]);
      else
        split_one(tensors, name, weights);
      if (tensors.find(bias) != kNoNode) split_one(tensors, bias, biases);
      tensors.done(module.empty() ? "the root module" : module);
    }
  }
}

}  // namespace

void join_projections(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log) {
  fix_layout(checkpoint, options, "in_proj", "module", "with q, k and v in one", log, join_all);
}

void split_projections(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log) {
  fix_layout(checkpoint, options, "qkv_proj", "module", "with q, k and v apart", log, split_all);
}

}  // namespace ferry::convert
