#include "formats/torchscript/state_dict.h"

#include <algorithm>
#include <array>
#include <unordered_set>

#include "src/core/error.h"
#include "src/core/paths.h"
#include "src/core/text.h"

namespace ferry::torchscript {
namespace {

constexpr std::size_t kPathsKept = 4;            // of a description
constexpr std::size_t kTextMax = 100;            // characters of an attribute
constexpr std::size_t kPathsPerNode = 16;        // before it counts as a bomb
constexpr std::size_t kPathBytesPerNode = 1024;  // the same, of all paths together

struct Attribute {
  std::string name;
  NodeId value;
};

// What a __getstate__ of torch's own gave: a tuple with these parts.
struct KnownState {
  std::string_view class_ending;
  std::vector<std::string_view> parts;
};

const KnownState* find_state(std::string_view name, std::size_t size) {
  // torch/nn/quantized/modules/{linear,conv}.py, aten/src/ATen/native/quantized/cpu/fbgemm_utils.cpp
  static const std::vector<std::string_view> kConv = {
      "in_channels", "out_channels", "kernel_size",    "stride",     "padding",
      "dilation",    "transposed",   "output_padding", "groups",     "padding_mode",
      "weight",      "bias",         "scale",          "zero_point", "training"};
  static const KnownState kStates[] = {
      {".LinearPackedParamsBase", {"weight", "bias"}},
      {".LinearPackedParams", {"weight", "bias", "training"}},
      {".LinearPackedParams", {"weight", "bias", "training", "dtype"}},
      {".quantized.modules.conv.Conv1d", kConv},
      {".quantized.modules.conv.Conv2d", kConv},
      {".quantized.modules.conv.Conv3d", kConv},
      {".quantized.modules.conv_relu.ConvReLU1d", kConv},
      {".quantized.modules.conv_relu.ConvReLU2d", kConv},
      {".quantized.modules.conv_relu.ConvReLU3d", kConv},
  };
  for (const KnownState& known : kStates)
    if (name.ends_with(known.class_ending) && known.parts.size() == size) return &known;
  return nullptr;
}

bool is_sequence(Kind kind) { return kind == Kind::list || kind == Kind::tuple || kind == Kind::set; }
bool is_tensor(const ValueGraph& graph, NodeId node) { return graph.is_tensor(node); }

// A plain value on one line, cut where it gets long; nothing where there is no more in it than tensors and
// instances.
class AttributeText {
 public:
  AttributeText(const ValueGraph& graph, const Instances& instances) : graph_(graph), instances_(instances) {}

  std::string of(NodeId value) {
    text_.clear();
    plain_ = false;
    stack_ = {{value, ""}};
    while (!stack_.empty() && text_.size() < kTextMax) {
      const Piece piece = stack_.back();
      stack_.pop_back();
      text_ += piece.text;
      if (piece.node != kNoNode) write(piece.node);
    }
    if (!plain_) return "";
    return stack_.empty() ? text_ : text_ + "…";
  }

 private:
  struct Piece {
    NodeId node;            // kNoNode: the text alone
    std::string_view text;  // before it
  };

  void write(NodeId node) {
    const Kind kind = graph_.kind(node);
    if (is_tensor(graph_, node))
      text_ += "tensor";
    else if (instances_.contains(node))
      text_ += instances_.at(node).class_name;
    else if (is_sequence(kind) || kind == Kind::dict)
      open(node, kind);
    else
      write_scalar(node, kind);
  }

  void open(NodeId node, Kind kind) {
    const auto items = graph_.items(node);
    plain_ = plain_ || items.empty();
    text_ += kind == Kind::tuple ? "(" : kind == Kind::list ? "[" : "{";
    stack_.push_back({kNoNode, kind == Kind::tuple ? ")" : kind == Kind::list ? "]" : "}"});
    const std::size_t step = kind == Kind::dict ? 2 : 1, shown = std::min(items.size(), kTextMax * step);
    if (shown < items.size()) stack_.push_back({kNoNode, ", …"});
    for (std::size_t i = shown; i > 0; --i) {
      const bool value_of_dict = step == 2 && i % 2 == 0;
      stack_.push_back({items[i - 1], value_of_dict ? ": " : i <= step ? "" : ", "});
    }
  }

  void write_scalar(NodeId node, Kind kind) {
    plain_ = true;
    if (kind == Kind::complex)
      text_ += real_text(graph_.complex(node).first) + "+" + real_text(graph_.complex(node).second) + "j";
    else
      text_ += kind == Kind::text ? quote(graph_.text(node), kTextMax / 2) : key_text(graph_, node);
  }

  const ValueGraph& graph_;
  const Instances& instances_;
  std::string text_;
  bool plain_ = false;
  std::vector<Piece> stack_;
};

class Walk {
 public:
  Walk(const ValueGraph& graph, const Instances& instances, const Limits& limits)
      : graph_(graph),
        instances_(instances),
        limits_(limits),
        text_(graph, instances),
        paths_left_(1000 + kPathsPerNode * graph.node_count()),
        bytes_left_(65536 + kPathBytesPerNode * graph.node_count()) {}

  StateDict run(NodeId from, std::string_view prefix) {
    visit(from, std::string(prefix));
    while (!frames_.empty()) {
      Frame& frame = frames_.back();
      if (frame.next == frame.below.size()) {
        open_.erase(frame.node);
        frames_.pop_back();
        continue;
      }
      const Attribute child = frame.below[frame.next++];
      visit(child.value, join_path(frame.path, child.name));
    }
    return std::move(state_);
  }

 private:
  struct Frame {
    NodeId node;
    std::string path;
    std::vector<Attribute> below;  // containers and instances in it
    std::size_t next = 0;
  };

  void visit(NodeId node, std::string path) {
    count(path);
    if (is_tensor(graph_, node)) return add_tensor(node, std::move(path));
    const auto found = instances_.find(node);
    const bool instance = found != instances_.end();
    if (!instance && !is_container(node)) return;
    if (!open_.insert(node).second) return state_.cycles.push_back(std::move(path));
    if (frames_.size() > limits_.depth_max)
      throw Error(Code::too_deep, "modules are nested deeper than " + std::to_string(limits_.depth_max));
    const std::vector<Attribute> attributes = attributes_of(node, instance ? found->second.class_name : "");
    if (instance) describe(found->second, node, path, attributes);
    Frame frame{node, std::move(path), {}, 0};
    for (const Attribute& attribute : attributes)
      if (instance && is_tensor(graph_, attribute.value))
        add_tensor(attribute.value, join_path(frame.path, attribute.name));
      else if (is_tensor(graph_, attribute.value) || is_container(attribute.value) ||
               instances_.contains(attribute.value))
        frame.below.push_back(attribute);
    frames_.push_back(std::move(frame));
  }

  bool is_container(NodeId node) const {
    return is_sequence(graph_.kind(node)) || graph_.kind(node) == Kind::dict;
  }

  // Modules may be shared, and each of two that share a third has the paths of it: torch counts them all.
  void count(const std::string& path) {
    if (paths_left_ == 0 || bytes_left_ < path.size())
      throw Error(Code::limit_exceeded, "shared modules make more paths than there are values in the file");
    --paths_left_;
    bytes_left_ -= path.size();
  }

  void add_tensor(NodeId node, std::string path) {
    count(path);
    if (!taken_.insert(path).second)
      throw Error(Code::key_collision, "two tensors have the path " + quote(path)).at(graph_.at(node));
    state_.tensors.push_back({std::move(path), node});
  }

  std::vector<Attribute> attributes_of(NodeId node, std::string_view class_name) const {
    std::vector<Attribute> result;
    if (graph_.kind(node) == Kind::dict) {
      for (std::size_t i = 0; i < graph_.entry_count(node); ++i) {
        const Entry entry = graph_.entry(node, i);
        result.push_back({key_text(graph_, entry.key), entry.value});
      }
    } else if (is_sequence(graph_.kind(node))) {
      const auto items = graph_.items(node);
      const KnownState* known = find_state(class_name, items.size());
      for (std::size_t i = 0; i < items.size(); ++i)
        result.push_back({known ? std::string(known->parts[i]) : std::to_string(i), items[i]});
    }
    return result;
  }

  void describe(const Instance& instance, NodeId node, const std::string& path,
                const std::vector<Attribute>& attributes) {
    const bool root = frames_.empty();
    // torch/nn/modules/batchnorm.py: version 2 brought num_batches_tracked
    const bool counts = std::any_of(attributes.begin(), attributes.end(), [](const Attribute& attribute) {
      return attribute.name == "num_batches_tracked";
    });
    if (root || instance.module) state_.modules.push_back({path, counts ? 2 : 1});
    std::string said;
    if (graph_.kind(node) == Kind::dict || is_sequence(graph_.kind(node))) {
      for (const Attribute& attribute : attributes) {
        if (attribute.name == "_is_full_backward_hook" || (attribute.name == "training" && !root)) continue;
        if (is_tensor(graph_, attribute.value) || instances_.contains(attribute.value)) continue;
        const std::string text = text_.of(attribute.value);
        if (!text.empty()) said += (said.empty() ? "" : ", ") + attribute.name + "=" + text;
      }
    } else {
      said = text_.of(node);
    }
    add_description(instance.class_name + (said.empty() ? "" : "(" + said + ")"), path);
  }

  void add_description(std::string what, const std::string& path) {
    const auto [place, fresh] = described_.try_emplace(what, state_.descriptions.size());
    if (fresh) state_.descriptions.push_back({std::move(what), {}, 0});
    StateDict::Description& description = state_.descriptions[place->second];
    ++description.count;
    if (description.paths.size() < kPathsKept) description.paths.push_back(path);
  }

  const ValueGraph& graph_;
  const Instances& instances_;
  const Limits& limits_;
  AttributeText text_;
  std::size_t paths_left_, bytes_left_;
  StateDict state_;
  std::vector<Frame> frames_;
  std::unordered_set<NodeId> open_;  // on the way from the root to here
  std::unordered_set<std::string> taken_;
  std::unordered_map<std::string, std::size_t> described_;
};

}  // namespace

StateDict flatten(const ValueGraph& graph, const Instances& instances, NodeId from, std::string_view prefix,
                  const Limits& limits) {
  return Walk(graph, instances, limits).run(from, prefix);
}

}  // namespace ferry::torchscript
