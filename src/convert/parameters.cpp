#include "src/convert/parameters.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

namespace ferry::convert {
namespace {

using Wanted = std::vector<std::optional<Shape>>;
using Named = std::vector<NamedParameter>;

bool is_buffer(std::string_view name) {
  const std::string_view leaf = name.substr(name.rfind('.') + 1);  // npos + 1 is 0
  return leaf == "running_mean" || leaf == "running_var" || leaf == "num_batches_tracked" ||
         leaf == "n_averaged" || leaf == "_u" || leaf == "_v" || leaf.ends_with("_u");
}

// weight_v is a parameter beside weight_g, and a buffer beside weight_orig.
bool is_spectral_v(const ValueGraph& graph, NodeId state_dict, std::string_view name) {
  if (!name.ends_with("_v")) return false;
  const std::string stem(name.substr(0, name.size() - 2));
  return graph.find(state_dict, stem + "_orig") != kNoNode;
}

bool is_fraction(DType dtype) {
  const std::string_view name = info(dtype).name;
  return name.find("float") != std::string_view::npos || name.find("complex") != std::string_view::npos;
}

bool agrees(const std::optional<Shape>& wanted, const NamedParameter& named) {
  return !wanted || *wanted == named.shape;
}

std::vector<std::size_t> straight(const Wanted& wanted, const Named& named) {
  std::vector<std::size_t> pairs;
  if (wanted.size() != named.size()) return pairs;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!agrees(wanted[i], named[i])) return {};
    pairs.push_back(i);
  }
  return pairs;
}

// The first places that fit, in order; empty when they do not.
std::vector<std::size_t> leftmost(const Wanted& wanted, const Named& named) {
  std::vector<std::size_t> pairs;
  for (std::size_t i = 0; i < named.size() && pairs.size() < wanted.size(); ++i)
    if (agrees(wanted[pairs.size()], named[i])) pairs.push_back(i);
  return pairs.size() == wanted.size() ? pairs : std::vector<std::size_t>();
}

std::vector<std::size_t> rightmost(const Wanted& wanted, const Named& named) {
  std::vector<std::size_t> pairs;
  for (std::size_t i = named.size(); i > 0 && pairs.size() < wanted.size(); --i)
    if (agrees(wanted[wanted.size() - 1 - pairs.size()], named[i - 1])) pairs.push_back(i - 1);
  std::reverse(pairs.begin(), pairs.end());
  return pairs.size() == wanted.size() ? pairs : std::vector<std::size_t>();
}

// Of each shape, the ones that are wanted and the ones that are there, both in order.
Pairs by_shape(const Wanted& wanted, const Named& named) {
  Pairs pairs;
  pairs.named.assign(wanted.size(), kNobody);
  pairs.sure.assign(wanted.size(), false);
  std::map<Shape, std::pair<std::vector<std::size_t>, std::vector<std::size_t>>> shapes;
  for (std::size_t i = 0; i < wanted.size(); ++i)
    if (wanted[i]) shapes[*wanted[i]].first.push_back(i);
  for (std::size_t i = 0; i < named.size(); ++i) shapes[named[i].shape].second.push_back(i);
  for (const auto& [shape, both] : shapes) {
    const auto& [asked, there] = both;
    for (std::size_t i = 0; i < asked.size() && i < there.size(); ++i) {
      pairs.named[asked[i]] = there[i];
      pairs.sure[asked[i]] = asked.size() == 1 && there.size() == 1;
    }
  }
  return pairs;
}

}  // namespace

bool Pairs::all_sure() const {
  return std::all_of(sure.begin(), sure.end(), [](bool one) { return one; });
}

View view_of(const Checkpoint& checkpoint, NodeId node) {
  const Tensor& tensor = checkpoint.tensors[checkpoint.values.index(node)];
  const auto shape = checkpoint.shape(tensor), strides = checkpoint.strides(tensor);
  return {tensor.storage, tensor.offset, {shape.begin(), shape.end()}, {strides.begin(), strides.end()}};
}

std::vector<NamedParameter> parameters_of(const Checkpoint& checkpoint, NodeId state_dict) {
  const ValueGraph& graph = checkpoint.values;
  std::vector<NamedParameter> all;
  std::set<View> views;
  for (std::size_t i = 0; i < graph.entry_count(state_dict); ++i) {
    const auto [key, value] = graph.entry(state_dict, i);
    if (graph.kind(value) != Kind::tensor || !graph.is_text(key) || is_buffer(graph.text(key)) ||
        is_spectral_v(graph, state_dict, graph.text(key)))
      continue;
    const Tensor& tensor = checkpoint.tensors[graph.index(value)];
    if (!is_fraction(tensor.dtype)) continue;
    if (tensor.storage != kNoStorage && !views.insert(view_of(checkpoint, value)).second) continue;
    const auto shape = checkpoint.shape(tensor);
    all.push_back({std::string(graph.text(key)), {shape.begin(), shape.end()}, value});
  }
  return all;
}

std::string shape_text(const Shape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

Pairs pair_parameters(const Wanted& wanted, const Named& named) {
  Pairs pairs;
  const auto known = [](const auto& shape) { return shape.has_value(); };
  const auto known_shapes = static_cast<std::size_t>(std::count_if(wanted.begin(), wanted.end(), known));
  if (pairs.named = straight(wanted, named); pairs.named.size() == wanted.size()) {
    pairs.fit = Fit::in_order;
    pairs.sure.assign(wanted.size(), true);
  } else if (pairs.named = leftmost(wanted, named); pairs.named.size() == wanted.size()) {
    const auto last = rightmost(wanted, named);
    pairs.fit = Fit::within;
    for (std::size_t i = 0; i < wanted.size(); ++i) pairs.sure.push_back(pairs.named[i] == last[i]);
  } else {
    pairs = by_shape(wanted, named);
  }
  pairs.known_shapes = known_shapes;
  return pairs;
}

}  // namespace ferry::convert
