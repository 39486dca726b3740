#include "formats/pt2/graph_reader.h"

#include <algorithm>
#include <unordered_map>

#include "formats/pt2/metadata.h"
#include "formats/pt2/schema.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::pt2 {
namespace {

constexpr int kNestingMax = 32;  // graphs inside graphs

class GraphReader {
 public:
  explicit GraphReader(int depth) : depth_(depth) {}

  Graph read(const json::Value& value) {
    if (depth_ > kNestingMax) throw Error(Code::too_deep, "graphs are nested too deeply");
    std::unordered_map<std::string_view, const json::Value*> table;
    if (const json::Value* values = value.find("tensor_values"))
      for (const auto& [name, meta] : object_of(*values, "tensor_values")) table.emplace(name, &meta);
    for (const json::Value& input : array_of(member(value, "inputs"), "the inputs of a graph"))
      read_input(input, table);
    const auto& nodes = array_of(member(value, "nodes"), "the nodes of a graph");
    graph_.nodes.reserve(nodes.size());
    for (const json::Value& node : nodes) read_node(node);
    for (const json::Value& output : array_of(member(value, "outputs"), "the outputs of a graph"))
      graph_.outputs.push_back(read_argument(output));
    return std::move(graph_);
  }

 private:
  void read_input(const json::Value& input,
                  const std::unordered_map<std::string_view, const json::Value*>& table) {
    graph_.inputs.push_back(read_definition(input));
    std::optional<TensorFacts> facts;
    const json::Value* tensor = input.find("as_tensor");
    if (tensor != nullptr)
      if (const auto found = table.find(name_in(*tensor)); found != table.end())
        facts = read_facts(*found->second);
    graph_.input_facts.push_back(std::move(facts));
  }

  static TensorFacts read_facts(const json::Value& meta) {
    TensorFacts facts;
    facts.dtype = dtype_of(integer_of(member(meta, "dtype"), "the dtype of a tensor"));
    for (const json::Value& size : array_of(member(meta, "sizes"), "the sizes of a tensor")) {
      const auto& [kind, content] = tagged(size, "a size");
      if (kind == "as_int")
        facts.sizes.emplace_back(integer_of(content, "a size"));
      else
        facts.sizes.emplace_back(text_of(member(content, "expr_str"), "a size"));
    }
    return facts;
  }

  void read_node(const json::Value& value) {
    Node node;
    node.target = text_of(member(value, "target"), "the target of a node");
    if (const json::Value* name = value.find("name"); name != nullptr && !name->is_null())
      node.name = text_of(*name, "the name of a node");
    try {
      for (const json::Value& input : array_of(member(value, "inputs"), "the inputs of a node"))
        node.inputs.push_back(
            {text_of(member(input, "name"), "the name of an argument"), read_argument(member(input, "arg"))});
      for (const json::Value& output : array_of(member(value, "outputs"), "the outputs of a node"))
        node.outputs.push_back(read_definition(output));
    } catch (Error& error) {
      error.in("in node " + quote(node.name.empty() ? node.target : node.name, 60));
      throw;
    }
    read_metadata(value, node);
    graph_.nodes.push_back(std::move(node));
  }

  static void read_metadata(const json::Value& value, Node& node) {
    const json::Value* metadata = value.find("metadata");
    if (metadata == nullptr) return;
    if (const json::Value* stack = metadata->find("nn_module_stack"); stack != nullptr && stack->text())
      node.stack = module_stack(*stack->text());
    if (const json::Value* trace = metadata->find("stack_trace"); trace != nullptr && trace->text())
      node.source = source_line(*trace->text());
  }

  // --- Values

  Value define(const std::string& name, bool symbolic = false) {
    const auto id = static_cast<std::uint32_t>(graph_.names.size());
    if (!ids_.try_emplace(name, id).second) broken("the value " + quote(name, 60) + " is defined twice");
    graph_.names.push_back(name);
    graph_.symbolic.push_back(symbolic);
    return Value{id};
  }

  Value use(const std::string& name) const {
    const auto found = ids_.find(name);
    if (found == ids_.end()) broken("the value " + quote(name, 60) + " is used and was not defined before");
    return Value{found->second};
  }

  static const std::string& name_in(const json::Value& value, std::string_view tag = "name") {
    return text_of(member(value, tag), "the name of a value");
  }

  // --- What nodes and inputs make

  Argument read_definition(const json::Value& value) {
    const auto& [kind, content] = tagged(value, "an output");
    if (kind == "as_tensor" || kind == "as_custom_obj") return {define(name_in(content))};
    if (kind == "as_sym_int" || kind == "as_sym_float" || kind == "as_sym_bool") {
      if (content.find("as_name") != nullptr) return {define(name_in(content, "as_name"), true)};
      return read_argument(value);
    }
    if (kind == "as_tensors") return define_all(content);
    if (kind == "as_optional_tensors") return define_optional(content);
    if (kind == "as_optional_tensor") return define_optional_one(content);
    if (kind == "as_nested_tensors" || kind == "as_graph" || kind == "as_string_to_argument")
      throw Error(Code::unsupported_container, "outputs of the kind " + quote(kind, 40) + " are not known");
    return read_argument(value);  // the constant that an input was exported with, or nothing
  }

  Argument define_all(const json::Value& value) {
    List list;
    for (const json::Value& item : array_of(value, "a list of tensors"))
      list.push_back({define(name_in(item))});
    return {std::move(list)};
  }

  Argument define_optional_one(const json::Value& value) {
    const auto& [kind, content] = tagged(value, "an optional tensor");
    if (kind == "as_none") return {};
    if (kind != "as_tensor") broken("an optional tensor is of the unknown kind " + quote(kind, 40));
    return {define(name_in(content))};
  }

  Argument define_optional(const json::Value& value) {
    List list;
    for (const json::Value& item : array_of(value, "a list of optional tensors"))
      list.push_back(define_optional_one(item));
    return {std::move(list)};
  }

  // --- What nodes take

  Argument read_symbol(const json::Value& value) const {
    const auto& [kind, content] = tagged(value, "a symbolic number");
    if (kind == "as_name") return {use(text_of(content, "the name of a value"))};
    if (kind == "as_int") return {integer_of(content, "as_int")};
    if (kind == "as_float") return {real_of(content, "as_float")};
    if (kind == "as_bool") return {boolean_of(content, "as_bool")};
    broken("a symbolic number is of the unknown kind " + quote(kind, 40));
  }

  Argument read_optional(const json::Value& value) const {
    const auto& [kind, content] = tagged(value, "an optional tensor");
    if (kind == "as_none") return {};
    if (kind != "as_tensor") broken("an optional tensor is of the unknown kind " + quote(kind, 40));
    return {use(name_in(content))};
  }

  template <typename Read>
  static Argument read_list(const json::Value& value, const Read& read) {
    List list;
    for (const json::Value& item : array_of(value, "a list")) list.push_back(read(item));
    return {std::move(list)};
  }

  template <typename T, typename Read>
  static Argument read_numbers(const json::Value& value, const Read& read) {
    std::vector<T> list;
    for (const json::Value& item : array_of(value, "a list")) list.push_back(read(item));
    return {std::move(list)};
  }

  Argument read_graph_argument(const json::Value& value) const {
    return {std::make_shared<const Graph>(GraphReader(depth_ + 1).read(member(value, "graph")))};
  }

  Argument read_mapping(const json::Value& value) const {
    Mapping mapping;
    for (const auto& [key, content] : object_of(value, "a mapping"))
      mapping.emplace_back(key, read_argument(content));
    return {std::move(mapping)};
  }

  Argument read_argument(const json::Value& value) const {
    const auto& [kind, content] = tagged(value, "an argument");
    const auto integer = [](const json::Value& item) { return integer_of(item, "an integer of a list"); };
    const auto real = [](const json::Value& item) { return real_of(item, "a number of a list"); };
    const auto symbol = [this](const json::Value& item) { return read_symbol(item); };
    const auto tensor = [this](const json::Value& item) -> Argument { return {use(name_in(item))}; };
    if (kind == "as_none") return {};
    if (kind == "as_tensor") return tensor(content);
    if (kind == "as_tensors") return read_list(content, tensor);
    if (kind == "as_int") return {integer_of(content, "as_int")};
    if (kind == "as_ints") return read_numbers<std::int64_t>(content, integer);
    if (kind == "as_float") return {real_of(content, "as_float")};
    if (kind == "as_floats") return read_numbers<double>(content, real);
    if (kind == "as_bool") return {boolean_of(content, "as_bool")};
    if (kind == "as_bools")
      return read_numbers<bool>(content, [](const json::Value& v) { return boolean_of(v, "as_bools"); });
    if (kind == "as_string") return {text_of(content, "as_string")};
    if (kind == "as_strings")
      return read_numbers<std::string>(content,
                                       [](const json::Value& v) { return text_of(v, "as_strings"); });
    if (kind == "as_sym_int" || kind == "as_sym_float" || kind == "as_sym_bool") return read_symbol(content);
    if (kind == "as_sym_ints" || kind == "as_sym_floats" || kind == "as_sym_bools")
      return read_list(content, symbol);
    if (kind == "as_scalar_type") return {dtype_of(integer_of(content, "as_scalar_type"))};
    if (kind == "as_memory_format") return {memory_format_of(integer_of(content, "as_memory_format"))};
    if (kind == "as_layout") return {layout_of(integer_of(content, "as_layout"))};
    if (kind == "as_device") return {device_of(content)};
    if (kind == "as_graph") return read_graph_argument(content);
    if (kind == "as_optional_tensor") return read_optional(content);
    if (kind == "as_optional_tensors")
      return read_list(content, [this](const json::Value& item) { return read_optional(item); });
    if (kind == "as_nested_tensors")
      return read_list(content, [&](const json::Value& item) { return read_list(item, tensor); });
    if (kind == "as_int_lists")
      return read_list(content,
                       [&](const json::Value& item) { return read_numbers<std::int64_t>(item, integer); });
    if (kind == "as_float_lists")
      return read_list(content, [&](const json::Value& item) { return read_numbers<double>(item, real); });
    if (kind == "as_complex")
      return {std::complex<double>(real_of(member(content, "real"), "a real part"),
                                   real_of(member(content, "imag"), "an imaginary part"))};
    if (kind == "as_operator") return {OperatorName{text_of(content, "as_operator")}};
    if (kind == "as_custom_obj")
      return {CustomObject{name_in(content), text_of(member(content, "class_fqn"), "class_fqn")}};
    if (kind == "as_string_to_argument") return read_mapping(content);
    throw Error(Code::unsupported_container, "arguments of the kind " + quote(kind, 40) + " are not known");
  }

  int depth_;
  Graph graph_;
  std::unordered_map<std::string, std::uint32_t> ids_;
};

}  // namespace

Graph read_graph(const json::Value& value) { return GraphReader(0).read(value); }

}  // namespace ferry::pt2
