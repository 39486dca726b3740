#include <algorithm>
#include <bit>
#include <limits>
#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "formats/json/json.h"
#include "formats/state/hex.h"
#include "formats/state/state.h"
#include "src/core/composite.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::state {
namespace {

using json::Value;

constexpr std::size_t kJsonDepthMax = 1000;

[[noreturn]] void fail(const std::string& what) {
  throw Error(Code::bad_json, "the state beside the tensors: " + what);
}

const std::string& text_of(const Value& value, std::string_view mark) {
  if (value.text() == nullptr) fail("what " + quote(mark) + " marks is no text");
  return *value.text();
}

const Value::Array& array_of(const Value& value, std::string_view mark) {
  if (value.array() == nullptr) fail("what " + quote(mark) + " marks is no list");
  return *value.array();
}

class Restorer {
 public:
  Restorer(Checkpoint& checkpoint, const std::vector<std::string>& names, Fit fit)
      : checkpoint_(checkpoint), graph_(checkpoint.values), fit_(fit), used_(names.size()) {
    for (std::uint32_t i = 0; i < names.size(); ++i) by_name_.emplace(names[i], i);
  }

  void run(std::string_view text) {
    json::Rules rules;
    rules.depth_max = kJsonDepthMax;
    const Value whole = json::parse(text, rules);
    const Value *schema = whole.find("schema"), *root = whole.find("root");
    if (schema == nullptr || schema->text() == nullptr || *schema->text() != kSchema)
      fail("its schema is not " + std::string(kSchema));
    if (root == nullptr) fail("it has no root");
    const NodeId node = value(*root);
    add_unnamed(node);
    for (const NodeId absent : absent_) graph_.become(absent, graph_.make_none());
    check_keys(graph_, Repeats::refuse, hashed_);
    // Notes about the whole file belong to the new root as they did to the old one.
    for (Note& note : checkpoint_.notes)
      if (note.node == graph_.root()) note.node = node;
    graph_.set_root(node);
  }

 private:
  NodeId value(const Value& from, std::optional<std::int64_t> number = std::nullopt) {
    if (from.is_null()) return graph_.make_none();
    if (const auto truth = from.boolean()) return graph_.make_boolean(*truth);
    if (const auto integer = from.integer()) return graph_.make_integer(*integer);
    if (from.text() != nullptr) return graph_.make_text(*from.text());
    if (from.array() != nullptr) {
      const NodeId list = made(graph_.make_container(Kind::list), number);
      graph_.set_items(list, values(*from.array()));
      return list;
    }
    if (from.object() != nullptr) return object(from, *from.object(), number);
    const auto real = from.number();
    if (!real || from.natural()) fail("an integer beyond 64 bits");
    return graph_.make_real(*real);
  }

  // Tensors that the state does not name.
  void add_unnamed(NodeId root) {
    if (fit_ == Fit::partial && !absent_.empty() && std::ranges::find(used_, true) == used_.end())
      fail("it names none of the tensors that are there");
    for (const auto& [name, index] : by_name_) {
      if (used_[index]) continue;
      if (fit_ == Fit::exact || graph_.kind(root) != Kind::dict || absent_.contains(root))
        fail("it does not name tensor " + quote(name));
      const NodeId entry[2] = {graph_.make_text(name), graph_.make_indexed(Kind::tensor, index)};
      graph_.append(root, entry);  // check_keys refuses one that is there already
    }
  }

  // Stands for a tensor that is not there until the tree is whole.
  NodeId absent() {
    const NodeId node = graph_.make_text("");
    absent_.insert(node);
    return node;
  }

  std::vector<NodeId> values(const Value::Array& from) {
    std::vector<NodeId> items;
    items.reserve(from.size());
    for (const Value& item : from) items.push_back(value(item));
    return items;
  }

  // A value that others may refer to.
  NodeId made(NodeId node, std::optional<std::int64_t> number) {
    if (number && !numbered_.emplace(*number, node).second) fail("two values of one $id");
    return node;
  }

  NodeId object(const Value& whole, const Value::Object& members, std::optional<std::int64_t> number) {
    if (members.empty() || !members.front().first.starts_with('$'))
      return dict(DictFlavor::plain, whole, nullptr, number);
    const auto& [mark, marked] = members.front();
    if (mark == "$ref") return reference(marked);
    if (mark == "$id") {
      const Value* is = whole.find("is");
      if (number || !marked.integer() || is == nullptr) fail("a wrong $id");
      const NodeId node = value(*is, *marked.integer());
      numbered_.try_emplace(*marked.integer(), node);
      return node;
    }
    if (mark == "$dict") return dict(DictFlavor::plain, marked, whole.find("attributes"), number);
    if (mark == "$ordered") return dict(DictFlavor::ordered, marked, whole.find("attributes"), number);
    if (mark == "$counter") return dict(DictFlavor::counter, marked, whole.find("attributes"), number);
    if (mark == "$tensor") return tensor(text_of(marked, mark), whole);
    if (mark == "$tuple") return graph_.make_tuple(values(array_of(marked, mark)));
    if (mark == "$size") return container(Kind::size, 0, marked, mark);
    if (mark == "$set") return container(Kind::set, 0, marked, mark);
    if (mark == "$frozenset") return container(Kind::set, 1, marked, mark);
    if (mark == "$complex") {
      const Value::Array& parts = array_of(marked, mark);
      if (parts.size() != 2) fail("a complex number has two parts");
      return graph_.make_complex(real(parts[0]), real(parts[1]));
    }
    if (mark == "$float") return graph_.make_real(real(whole));
    if (mark == "$composite") return composite(text_of(marked, mark), whole);
    return leaf(mark, text_of(marked, mark));
  }

  NodeId container(Kind kind, std::uint8_t aux, const Value& marked, std::string_view mark) {
    const std::vector<NodeId> items = values(array_of(marked, mark));
    const NodeId node = graph_.make_container(kind, aux);
    graph_.set_items(node, items);
    if (kind == Kind::set) hashed_.push_back(node);
    return node;
  }

  NodeId composite(const std::string& name, const Value& whole) {
    const auto form = composite_by_name(name);
    const Value* parts = whole.find("parts");
    if (!form || parts == nullptr) fail("there is no composite tensor " + quote(name));
    const std::vector<NodeId> items = values(array_of(*parts, "$composite"));
    if (std::ranges::any_of(items, [&](NodeId item) { return absent_.contains(item); })) {
      for (const NodeId item : items)  // by themselves the other parts are tensors without a place
        if (graph_.kind(item) == Kind::tensor && graph_.index(item) < used_.size())
          used_[graph_.index(item)] = false;
      return absent();
    }
    check_parts(checkpoint_, *form, items);
    const auto flags = static_cast<std::uint16_t>((is_set(whole, "parameter") ? kParameter : 0) |
                                                  (is_set(whole, "requires_grad") ? kRequiresGrad : 0));
    return graph_.make_composite(*form, flags, items);
  }

  NodeId dict(DictFlavor flavor, const Value& entries, const Value* attributes,
              std::optional<std::int64_t> number) {
    const NodeId node = made(graph_.make_dict(flavor), number);
    std::vector<NodeId> items;
    if (entries.object() != nullptr) {
      for (const auto& [key, entry] : *entries.object()) {
        const NodeId name = graph_.make_text(key);
        const NodeId held = value(entry);
        if (!absent_.contains(held)) items.insert(items.end(), {name, held});
      }
    } else {
      for (const Value& pair : array_of(entries, "$dict")) {
        const Value::Array& both = array_of(pair, "$dict");
        if (both.size() != 2) fail("an entry of a dict is a key and a value");
        const NodeId key = value(both[0]);
        const NodeId held = value(both[1]);
        if (!absent_.contains(held)) items.insert(items.end(), {key, held});
      }
    }
    graph_.set_items(node, items);
    hashed_.push_back(node);
    if (attributes != nullptr) {
      const NodeId built = value(*attributes);
      if (graph_.kind(built) != Kind::dict) fail("attributes are a dict");
      graph_.set_attributes(node, built);
    }
    return node;
  }

  NodeId reference(const Value& marked) {
    const auto number = marked.integer();
    const auto found = number ? numbered_.find(*number) : numbered_.end();
    if (found == numbered_.end()) fail("a $ref to what is not there yet");
    return found->second;
  }

  static bool is_set(const Value& whole, std::string_view flag) {
    const Value* const set = whole.find(flag);
    return set != nullptr && set->boolean().value_or(false);
  }

  // The tensor of the file for its first use, a tensor of its own on the same storage for each further one.
  NodeId tensor(const std::string& name, const Value& whole) {
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) {
      if (fit_ == Fit::partial) return absent();
      fail("there is no tensor " + quote(name));
    }
    std::uint32_t index = found->second;
    if (used_[index]) {
      const Tensor copy = checkpoint_.tensors[index];
      checkpoint_.tensors.push_back(copy);
      index = static_cast<std::uint32_t>(checkpoint_.tensors.size() - 1);
    }
    used_[found->second] = true;
    checkpoint_.tensors[index].requires_grad = is_set(whole, "requires_grad");
    checkpoint_.tensors[index].parameter = is_set(whole, "parameter");
    return graph_.make_indexed(Kind::tensor, index);
  }

  double real(const Value& from) const {
    if (from.object() == nullptr) {
      const auto number = from.number();
      if (!number) fail("a part of a number is none");
      return *number;
    }
    const Value* marked = from.find("$float");
    if (marked == nullptr) fail("a number is none");
    const std::string& text = text_of(*marked, "$float");
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    if (text == "inf") return kInfinity;
    if (text == "-inf") return -kInfinity;
    if (text == "nan") return std::bit_cast<double>(std::uint64_t{0x7ff8000000000000});
    const auto octets = text.starts_with("0x") ? octets_of(std::string_view(text).substr(2)) : std::nullopt;
    if (!octets || octets->size() != 8) fail("$float " + quote(text));
    std::uint64_t bits = 0;
    for (const char c : *octets) bits = bits << 8 | static_cast<unsigned char>(c);
    return std::bit_cast<double>(bits);
  }

  // "cuda:0": a word, and perhaps a number.
  static bool is_device(std::string_view text) {
    const std::size_t colon = std::min(text.find(':'), text.size());
    const std::string_view type = text.substr(0, colon);
    const std::string_view index = colon < text.size() ? text.substr(colon + 1) : "0";
    return !type.empty() && type.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string_view::npos &&
           !index.empty() && index.size() < 9 &&
           index.find_first_not_of("0123456789") == std::string_view::npos;
  }

  NodeId leaf(std::string_view mark, const std::string& text) {
    if (mark == "$device") {
      if (!is_device(text)) fail("there is no device " + quote(text));
      return graph_.make_bytes(Kind::device, as_bytes(text));
    }
    if (mark == "$layout") {
      if (!text.starts_with("torch.")) fail("there is no layout " + quote(text));
      return graph_.make_bytes(Kind::layout, as_bytes(text));
    }
    if (mark == "$dtype") {
      const auto dtype = dtype_by_name(text);
      if (!dtype) fail("there is no dtype " + quote(text));
      return graph_.make_indexed(Kind::dtype, static_cast<std::uint32_t>(*dtype));
    }
    const auto octets = octets_of(text);
    if (!octets) fail("what " + quote(mark) + " marks is no run of hexadecimal digits");
    if (mark == "$int") return graph_.make_big_integer(as_bytes(*octets));
    if (mark == "$bytes") return graph_.make_bytes(Kind::bytes, as_bytes(*octets));
    if (mark == "$bytearray") return graph_.make_bytes(Kind::byte_array, as_bytes(*octets));
    if (mark == "$text") {
      if (!is_utf8(*octets, true)) fail("$text is no text");
      return graph_.make_text(*octets);
    }
    fail("there is no mark " + quote(mark));
  }

  Checkpoint& checkpoint_;
  ValueGraph& graph_;
  Fit fit_;
  std::map<std::string, std::uint32_t, std::less<>> by_name_;
  std::vector<bool> used_;
  std::unordered_map<std::int64_t, NodeId> numbered_;
  std::vector<NodeId> hashed_;  // dicts and sets
  std::unordered_set<NodeId> absent_;
};

}  // namespace

void restore(Checkpoint& checkpoint, const std::vector<std::string>& names, std::string_view text, Fit fit) {
  Restorer(checkpoint, names, fit).run(text);
}

std::vector<std::string> names_of_root(const Checkpoint& checkpoint) {
  const ValueGraph& graph = checkpoint.values;
  std::vector<std::string> names(checkpoint.tensors.size());
  const NodeId root = graph.root();
  if (graph.kind(root) != Kind::dict) return names;
  for (std::size_t i = 0; i < graph.entry_count(root); ++i) {
    const auto [key, value] = graph.entry(root, i);
    if (graph.kind(value) != Kind::tensor) continue;
    // Further names of a tied tensor come behind its own.
    std::string& name = names[graph.index(value)];
    if (name.empty()) name = std::string(graph.text(key));
  }
  return names;
}

}  // namespace ferry::state
