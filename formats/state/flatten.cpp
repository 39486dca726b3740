#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>

#include "formats/json/text.h"
#include "formats/state/hex.h"
#include "formats/state/state.h"
#include "src/core/error.h"
#include "src/core/paths.h"
#include "src/core/text.h"

namespace ferry::state {
namespace {

constexpr std::size_t kDepthMax = 200;      // of values; every level is up to four of JSON
constexpr std::size_t kNameMax = 4096;      // bytes
constexpr std::size_t kSingleNameMax = 64;  // of the name of a tensor that is the whole checkpoint

// How often each value is referred to: what is shared is written once.
std::vector<bool> shared_nodes(const ValueGraph& graph) {
  std::vector<bool> met(graph.node_count()), shared(graph.node_count());
  std::vector<NodeId> stack{graph.root()}, parts;
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    if (met[id]) {
      shared[id] = true;
      continue;
    }
    met[id] = true;
    parts.clear();
    graph.children(id, parts);
    stack.insert(stack.end(), parts.begin(), parts.end());
  }
  return shared;
}

// Which elements of which storage a tensor shows: equal windows are one tensor to a container of tensors.
using Window = std::tuple<std::uint32_t, std::int64_t, DType, bool, bool, std::vector<std::int64_t>>;

Window window_of(const Checkpoint& checkpoint, const Tensor& tensor) {
  const auto shape = checkpoint.shape(tensor), strides = checkpoint.strides(tensor);
  std::vector<std::int64_t> dims(shape.begin(), shape.end());
  for (std::size_t i = 0; i < strides.size(); ++i) dims.push_back(shape[i] == 1 ? 0 : strides[i]);
  return {tensor.storage, tensor.offset, tensor.dtype, tensor.conjugated, tensor.negated, std::move(dims)};
}

bool has_memory(const Checkpoint& checkpoint, const Tensor& tensor) {
  return numel(checkpoint, tensor) > 0 && checkpoint.storages[tensor.storage].bytes.size > 0;
}

class Flattener {
 public:
  explicit Flattener(const Checkpoint& checkpoint)
      : checkpoint_(checkpoint), graph_(checkpoint.values), shared_(shared_nodes(graph_)) {}

  Flat run() {
    check_depth(graph_, kDepthMax);
    find_names(graph_.root());
    keep_names();
    put(graph_.root());
    flat_.needed = !is_plain_root();
    return std::move(flat_);
  }

 private:
  struct Place {
    std::string name;
    std::vector<std::string> parts;
  };

  // --- First walk: under which names every window appears

  void find_names(NodeId id) {
    const Kind kind = graph_.kind(id);
    if (kind == Kind::tensor) return add_place(id);
    if (kind == Kind::storage) fail("a storage that is no tensor's has no form here");
    if (is_scalar(id)) {
      if (!parts_.empty()) flat_.scalars.push_back({parts_, id});
      return;
    }
    if (!graph_.is_container(id) || !entered_.insert(id).second) return;
    const auto items = std::vector<NodeId>(graph_.items(id).begin(), graph_.items(id).end());
    if (kind == Kind::dict) {
      for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
        const Step step(*this, key_text(graph_, items[i]));
        find_names(items[i + 1]);
      }
      return;  // keys and attributes hold no tensors in what torch writes; refused by put() when they do
    }
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (is_scalar(items[i])) continue;
      const Step step(*this, item_text(graph_, id, i));
      find_names(items[i]);
    }
  }

  bool is_scalar(NodeId id) const {
    const Kind kind = graph_.kind(id);
    return kind == Kind::integer || kind == Kind::real || kind == Kind::boolean || kind == Kind::text;
  }

  // One part more, for as long as it lives.
  struct Step {
    Step(Flattener& of, std::string part) : of_(of), length_(of.name_.size()) {
      of_.name_ += (of_.parts_.empty() ? "" : ".") + part;
      of_.parts_.push_back(std::move(part));
    }
    ~Step() {
      of_.name_.resize(length_);
      of_.parts_.pop_back();
    }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;
    Flattener& of_;
    std::size_t length_;
  };

  void add_place(NodeId id) {
    const Tensor& tensor = checkpoint_.tensors[graph_.index(id)];
    if (tensor.storage == kNoStorage) fail("a meta tensor has no data");
    if (name_.size() > kNameMax) fail("the name of a tensor is longer than " + grouped(kNameMax) + " bytes");
    if (!is_utf8(name_, false)) fail("the name of a tensor is no text");
    // Tensors without elements share nothing, wherever they point.
    Window window = window_of(checkpoint_, tensor);
    if (!has_memory(checkpoint_, tensor))
      std::get<1>(window) = -1 - static_cast<std::int64_t>(graph_.index(id));
    const auto [at, fresh] = by_window_.try_emplace(std::move(window), windows_.size());
    if (fresh) windows_.push_back({graph_.index(id), {}});
    windows_[at->second].places.push_back({parts_.empty() ? std::string(kRootName) : name_, parts_});
    window_of_tensor_.emplace(graph_.index(id), at->second);
  }

  struct Seen {
    std::uint32_t tensor;
    std::vector<Place> places;
  };

  // The first name in the order of bytes is kept, the others are aliases.
  void keep_names() {
    std::map<std::string_view, std::size_t> taken;
    for (std::size_t i = 0; i < windows_.size(); ++i) {
      Seen& seen = windows_[i];
      const auto kept = std::min_element(seen.places.begin(), seen.places.end(),
                                         [](const Place& a, const Place& b) { return a.name < b.name; });
      std::iter_swap(seen.places.begin(), kept);
      for (const Place& place : seen.places)
        if (!taken.emplace(place.name, i).second)
          throw Error(Code::key_collision, "two tensors would have the name " + quote(place.name))
              .with_hint("--rename or --exclude one of them");
      const Place& first = seen.places.front();
      flat_.tensors.push_back({first.name, first.parts, seen.tensor});
      for (std::size_t k = 1; k < seen.places.size(); ++k)
        flat_.aliases.push_back({seen.places[k].name, seen.places[k].parts, first.name});
    }
  }

  // --- Second walk: the tree

  void put(NodeId id) {
    if (shared_[id] && (graph_.is_container(id) || graph_.kind(id) == Kind::tensor)) {
      const auto [at, fresh] = numbers_.try_emplace(id, numbers_.size());
      if (!fresh) {
        text() += "{\"$ref\":" + std::to_string(at->second) + "}";
        return;
      }
      text() += "{\"$id\":" + std::to_string(at->second) + ",\"is\":";
      put_value(id);
      text() += '}';
      return;
    }
    put_value(id);
  }

  void put_value(NodeId id) {
    switch (graph_.kind(id)) {
      case Kind::none:
        text() += "null";
        return;
      case Kind::boolean:
        text() += graph_.boolean(id) ? "true" : "false";
        return;
      case Kind::integer:
        text() += std::to_string(graph_.integer(id));
        return;
      case Kind::big_integer:
        return put_marked("$int", hex_of(graph_.text(id)));
      case Kind::real:
        return put_real(graph_.real(id));
      case Kind::text:
        if (is_utf8(graph_.text(id), false))
          text() += json::quoted(graph_.text(id));
        else
          put_marked("$text", hex_of(graph_.text(id)));  // with half a surrogate pair
        return;
      case Kind::bytes:
        return put_marked("$bytes", hex_of(graph_.text(id)));
      case Kind::byte_array:
        return put_marked("$bytearray", hex_of(graph_.text(id)));
      case Kind::complex: {
        const auto [re, im] = graph_.complex(id);
        text() += "{\"$complex\":[";
        put_real(re);
        text() += ',';
        put_real(im);
        text() += "]}";
        return;
      }
      case Kind::dtype:
        return put_marked("$dtype", info(static_cast<DType>(graph_.index(id))).name);
      case Kind::device:
        return put_marked("$device", graph_.text(id));
      case Kind::layout:
        return put_marked("$layout", graph_.text(id));
      case Kind::tensor:
        return put_tensor(id);
      case Kind::list:
        return put_items(id);
      case Kind::tuple:
      case Kind::size:
      case Kind::set:
        text() += graph_.kind(id) == Kind::tuple  ? "{\"$tuple\":"
                  : graph_.kind(id) == Kind::size ? "{\"$size\":"
                  : graph_.frozen(id)             ? "{\"$frozenset\":"
                                                  : "{\"$set\":";
        put_items(id);
        text() += '}';
        return;
      case Kind::dict:
        return put_dict(id);
      case Kind::composite:
        return put_composite(id);
      default:
        fail("a value has no form in JSON");
    }
  }

  void put_marked(std::string_view mark, std::string_view value) {
    text().append("{\"").append(mark).append("\":").append(json::quoted(value)) += '}';
  }

  // The shortest decimal that reads back, always with a point or an exponent; what JSON lacks in words.
  void put_real(double value) {
    const auto bits = std::bit_cast<std::uint64_t>(value);
    if (std::isfinite(value)) {
      text() += real_text(value);
    } else if (std::isinf(value) || bits == 0x7ff8000000000000) {
      put_marked("$float", real_text(value));
    } else {
      std::string octets(8, '\0');
      for (int i = 0; i < 8; ++i)
        octets[static_cast<std::size_t>(i)] = static_cast<char>(bits >> (56 - 8 * i));
      put_marked("$float", "0x" + hex_of(octets));
    }
  }

  void put_tensor(NodeId id) {
    const auto window = window_of_tensor_.find(graph_.index(id));
    if (window == window_of_tensor_.end()) fail("a tensor that is a key or an attribute has no form here");
    const Tensor& tensor = checkpoint_.tensors[graph_.index(id)];
    text() += "{\"$tensor\":" + json::quoted(windows_[window->second].places.front().name);
    if (tensor.requires_grad) text() += ",\"requires_grad\":true";
    if (tensor.parameter) text() += ",\"parameter\":true";
    text() += '}';
  }

  void put_items(NodeId id) {
    const auto items = std::vector<NodeId>(graph_.items(id).begin(), graph_.items(id).end());
    text() += '[';
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) text() += ',';
      const Step step(*this, item_text(graph_, id, i));
      put(items[i]);
    }
    text() += ']';
  }

  void put_composite(NodeId id) {
    text() += "{\"$composite\":" + json::quoted(composite_name(graph_.composite(id)));
    if ((graph_.node(id).flags & kRequiresGrad) != 0) text() += ",\"requires_grad\":true";
    if ((graph_.node(id).flags & kParameter) != 0) text() += ",\"parameter\":true";
    text() += ",\"parts\":";
    put_items(id);
    text() += '}';
  }

  // An object where the keys are texts that cannot be taken for marks, else a list of pairs.
  bool has_plain_keys(const std::vector<NodeId>& items) const {
    for (std::size_t i = 0; i < items.size(); i += 2)
      if (!graph_.is_text(items[i]) || graph_.text(items[i]).starts_with('$') ||
          !is_utf8(graph_.text(items[i]), false))
        return false;
    return true;
  }

  void put_entries(const std::vector<NodeId>& items, bool as_object) {
    text() += as_object ? '{' : '[';
    for (std::size_t i = 0; i < items.size(); i += 2) {
      if (i > 0) text() += ',';
      const Step step(*this, key_text(graph_, items[i]));
      if (as_object) {
        text() += json::quoted(graph_.text(items[i])) + ":";
        put(items[i + 1]);
        continue;
      }
      text() += '[';
      put(items[i]);
      text() += ',';
      put(items[i + 1]);
      text() += ']';
    }
    text() += as_object ? '}' : ']';
  }

  void put_dict(NodeId id) {
    const auto items = std::vector<NodeId>(graph_.items(id).begin(), graph_.items(id).end());
    const bool as_object = has_plain_keys(items);
    const DictFlavor flavor = graph_.flavor(id);
    const NodeId attributes = graph_.attributes(id);
    if (flavor == DictFlavor::plain && attributes == kNoNode && as_object) return put_entries(items, true);
    text() += flavor == DictFlavor::plain     ? "{\"$dict\":"
              : flavor == DictFlavor::ordered ? "{\"$ordered\":"
                                              : "{\"$counter\":";
    put_entries(items, as_object);
    if (attributes != kNoNode) {
      text() += ",\"attributes\":";
      put(attributes);
    }
    text() += '}';
  }

  // A dict of tensors and nothing else: the container itself says as much.
  bool is_plain_root() const {
    const NodeId root = graph_.root();
    if (graph_.kind(root) != Kind::dict || graph_.flavor(root) == DictFlavor::counter ||
        graph_.attributes(root) != kNoNode)
      return false;
    const auto items = graph_.items(root);
    if (items.empty()) return false;  // which kind of dict it was, nothing else would say
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      if (!graph_.is_text(items[i]) || graph_.kind(items[i + 1]) != Kind::tensor) return false;
      const Tensor& tensor = checkpoint_.tensors[graph_.index(items[i + 1])];
      if (tensor.requires_grad || tensor.parameter) return false;
    }
    return true;
  }

  [[noreturn]] void fail(const std::string& what) const {
    const std::string name = name_.size() > kNameMax ? name_.substr(0, kSingleNameMax) + "…" : name_;
    throw Error(Code::target_lacks, what)
        .in("in " + quote(name))
        .with_hint("leave it out with --exclude, or write another target");
  }

  std::string& text() { return flat_.tree; }

  static constexpr std::string_view kRootName = "value";
  const Checkpoint& checkpoint_;
  const ValueGraph& graph_;
  const std::vector<bool> shared_;
  Flat flat_;
  std::string name_;
  std::vector<std::string> parts_;
  std::set<NodeId> entered_;
  std::map<Window, std::size_t> by_window_;
  std::vector<Seen> windows_;
  std::unordered_map<std::uint32_t, std::size_t> window_of_tensor_;  // by tensor
  std::unordered_map<NodeId, std::size_t> numbers_;                  // of shared values
};

}  // namespace

Flat flatten(const Checkpoint& checkpoint) { return Flattener(checkpoint).run(); }

std::string document(const Flat& flat, std::string_view provenance) {
  std::string text = "{\"schema\":" + json::quoted(kSchema);
  if (!provenance.empty()) text.append(",\"provenance\":").append(provenance);
  return text + ",\"root\":" + flat.tree + "}\n";
}

}  // namespace ferry::state
