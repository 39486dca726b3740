#include "formats/sb3/data.h"

#include <array>
#include <limits>
#include <utility>

#include "formats/json/json.h"

namespace ferry::sb3 {
namespace {

constexpr std::string_view kSerialized = ":serialized:";
constexpr std::string_view kConstant = ":constant of Python's json:";

struct Constant {
  std::string_view name;
  double value;
};
constexpr auto kConstants = std::to_array<Constant>({
    {"NaN", std::numeric_limits<double>::quiet_NaN()},
    {"-Infinity", -std::numeric_limits<double>::infinity()},
    {"Infinity", std::numeric_limits<double>::infinity()},
});

const Constant* constant_at(std::string_view rest) {
  for (const Constant& constant : kConstants)
    if (rest.starts_with(constant.name)) return &constant;
  return nullptr;
}

// The document with Python's constants as objects of one entry, which JSON can hold.
std::string as_json(std::string_view document) {
  std::string json;
  json.reserve(document.size());
  bool in_text = false;
  for (std::size_t at = 0; at < document.size();) {
    const char c = document[at];
    const Constant* constant = in_text ? nullptr : constant_at(document.substr(at));
    if (constant != nullptr) {
      json.append("{\"").append(kConstant).append("\":\"").append(constant->name).append("\"}");
      at += constant->name.size();
      continue;
    }
    if (c == '"') in_text = !in_text;
    const std::size_t step = in_text && c == '\\' && at + 1 < document.size() ? 2 : 1;
    json += document.substr(at, step);
    at += step;
  }
  return json;
}

class Builder final : public json::Events {
 public:
  explicit Builder(ValueGraph& graph) : graph_(graph) {}
  Data take() { return std::move(data_); }

  void null() override { add(graph_.make_none()); }
  void boolean(bool value) override { add(graph_.make_boolean(value)); }
  void integer(std::int64_t value) override { add(graph_.make_integer(value)); }
  void natural(std::uint64_t value) override {
    std::array<std::byte, 9> octets{};
    store_le(octets.data(), value);
    add(graph_.make_big_integer(octets));
  }
  void real(double value) override { add(graph_.make_real(value)); }
  void text(std::string& value) override { add(graph_.make_text(value)); }
  void begin_object() override { open_.push_back({.object = true}); }
  void key(std::string& name) override { open_.back().key = std::move(name); }
  void begin_array() override { open_.push_back({}); }
  void end_array() override { close(graph_.make_list({})); }
  void end_object() override {
    if (const NodeId constant = constant_of(open_.back()); constant != kNoNode) {
      open_.pop_back();
      return add(constant);
    }
    close(graph_.make_dict(DictFlavor::plain));
  }

 private:
  struct Open {  // an array or object that has not ended
    bool object = false;
    bool serialized = false;
    std::string key = {};  // the last one
    std::vector<NodeId> items = {};
  };

  NodeId constant_of(const Open& object) {
    if (object.items.size() != 2 || object.key != kConstant) return kNoNode;
    for (const Constant& constant : kConstants)
      if (graph_.is_text(object.items[1], constant.name)) return graph_.make_real(constant.value);
    return kNoNode;
  }

  void close(NodeId container) {
    graph_.append(container, open_.back().items);
    const bool serialized = open_.back().serialized;
    open_.pop_back();
    if (serialized) data_.serialized.push_back(path());
    add(container);
  }

  std::string path() const {
    std::string path;
    for (const Open& open : open_)
      if (!open.key.empty()) path += (path.empty() ? "" : ".") + open.key;
    return path;
  }

  // A value belongs to the innermost object under its last key, or to the innermost array.
  void add(NodeId value) {
    if (open_.empty()) {
      data_.root = value;
      return;
    }
    Open& open = open_.back();
    if (open.object && open.key == kSerialized) {
      open.serialized = true;
      return;
    }
    if (open.object) open.items.push_back(graph_.make_text(open.key));
    open.items.push_back(value);
  }

  ValueGraph& graph_;
  Data data_;
  std::vector<Open> open_;
};

}  // namespace

Data read_data(std::string_view document, ValueGraph& graph) {
  Builder builder(graph);
  json::Rules rules;
  rules.space_before = true;
  json::read(as_json(document), rules, builder);
  return builder.take();
}

}  // namespace ferry::sb3
