#include "src/report/modules.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "src/core/globals.h"
#include "src/core/paths.h"
#include "src/core/text.h"
#include "src/report/inspection_table.h"
#include "src/report/inspection_tree.h"

namespace ferry::report {
namespace {

constexpr std::size_t kWordsMax = 120;   // of one attribute
constexpr std::size_t kNumbersMax = 64;  // of a tuple that is kept as numbers

std::optional<std::vector<std::int64_t>> numbers_of(const ValueGraph& graph, NodeId node) {
  const Kind kind = graph.kind(node);
  const auto items = graph.items(node);
  if ((kind != Kind::tuple && kind != Kind::list) || items.empty() || items.size() > kNumbersMax)
    return std::nullopt;
  std::vector<std::int64_t> numbers;
  for (const NodeId item : items) {
    if (graph.kind(item) != Kind::integer) return std::nullopt;
    numbers.push_back(graph.integer(item));
  }
  return numbers;
}

std::string words_of(const Checkpoint& checkpoint, NodeId node) {
  const ValueGraph& graph = checkpoint.values;
  switch (graph.kind(node)) {
    case Kind::global:  // no value of the checkpoint: nothing made a text of it
      return modern_name(graph.text(graph.module(node)), graph.text(graph.attribute(node)));
    case Kind::tensor: {
      const Tensor& tensor = checkpoint.tensors[graph.index(node)];
      return "tensor " + std::string(info(tensor.dtype).name) + " " + shape_text(checkpoint.shape(tensor));
    }
    case Kind::dtype:
      return "torch." + std::string(info(static_cast<DType>(graph.index(node))).name);
    case Kind::call:
    case Kind::persistent:
      return "…";
    default:
      return cut_middle(preview(graph, node, kWordsMax), kWordsMax);
  }
}

AttributeValue value_of(const Checkpoint& checkpoint, NodeId node) {
  const ValueGraph& graph = checkpoint.values;
  switch (graph.kind(node)) {
    case Kind::none:
      return std::monostate{};
    case Kind::boolean:
      return graph.boolean(node);
    case Kind::integer:
      return graph.integer(node);
    case Kind::real:
      return graph.real(node);
    case Kind::text:
    case Kind::byte_string:
      if (graph.text(node).size() <= kWordsMax) return std::string(graph.text(node));
      return Words{quote(graph.text(node), kWordsMax)};
    default:
      if (auto numbers = numbers_of(graph, node)) return std::move(*numbers);
      return Words{words_of(checkpoint, node)};
  }
}

std::string list_text(std::span<const std::int64_t> numbers) {
  std::string text = "(";
  for (std::size_t i = 0; i < numbers.size(); ++i)
    text.append(i == 0 ? "" : ", ").append(std::to_string(numbers[i]));
  return text + (numbers.size() == 1 ? ",)" : ")");
}

// As Python writes it.
struct InText {
  std::string operator()(std::monostate) const { return "None"; }
  std::string operator()(bool truth) const { return truth ? "True" : "False"; }
  std::string operator()(std::int64_t number) const { return std::to_string(number); }
  std::string operator()(double number) const { return real_text(number); }
  std::string operator()(const std::vector<std::int64_t>& numbers) const { return list_text(numbers); }
  std::string operator()(const std::string& text) const { return quote(text, kWordsMax); }
  std::string operator()(const Words& words) const { return words.text; }
};

struct InJson {
  JsonWriter& json;
  void operator()(std::monostate) const { json.null(); }
  void operator()(const std::vector<std::int64_t>& numbers) const {
    json.begin_array(JsonWriter::Lines::one);
    for (const std::int64_t number : numbers) json.value(number);
    json.end_array();
  }
  void operator()(const Words& words) const { json.value(words.text); }
  template <typename T>
  void operator()(const T& value) const {
    json.value(value);
  }
};

// torch's own classes are known by their last name.
std::string short_class(std::string_view class_name) {
  const bool own = class_name.starts_with("torch.nn.") || class_name.starts_with("torch.ao.nn.");
  return std::string(own ? class_name.substr(class_name.rfind('.') + 1) : class_name);
}

std::unordered_map<NodeId, std::string> object_paths(const Checkpoint& checkpoint) {
  std::unordered_map<NodeId, std::string> found;
  for (const ModuleInfo& module : checkpoint.modules) found.try_emplace(module.object);
  const Paths paths(checkpoint.values, Reach::everything);
  for (std::size_t i = 0; i < paths.visits().size(); ++i)
    if (const auto object = found.find(paths.visits()[i].node); object != found.end())
      object->second = paths.path(i);
  return found;
}

}  // namespace

std::vector<ModuleFacts> describe_modules(const Checkpoint& checkpoint) {
  std::vector<ModuleFacts> all;
  if (checkpoint.modules.empty()) return all;
  const auto objects = object_paths(checkpoint);
  std::unordered_map<std::string_view, std::string_view> sources;
  for (const ClassSource& source : checkpoint.class_sources) sources.emplace(source.class_name, source.file);
  all.reserve(checkpoint.modules.size());
  for (const ModuleInfo& module : checkpoint.modules) {
    ModuleFacts facts{objects.at(module.object), module.path, module.class_name, {}, {}};
    if (const auto source = sources.find(module.class_name); source != sources.end())
      facts.source_file = source->second;
    for (const auto& [name, value] : module.attributes)
      facts.attributes.emplace_back(checkpoint.values.as_text(name).value_or("?"),
                                    value_of(checkpoint, value));
    all.push_back(std::move(facts));
  }
  return all;
}

std::string module_line(const ModuleFacts& module) {
  const std::string& path = module.path;
  const auto depth =
      path.empty() ? 0u : 1u + static_cast<unsigned>(std::count(path.begin(), path.end(), '.'));
  std::string text(2 * static_cast<std::size_t>(std::min(depth, 40u)), ' ');
  const std::string name = path.empty() ? module.object : path.substr(path.rfind('.') + 1);
  if (!name.empty()) text += escape_for_terminal(name) + "  ";
  text += escape_for_terminal(short_class(module.class_name));
  std::string_view before = "  ";
  for (const auto& [attribute, value] : module.attributes) {
    text.append(before)
        .append(escape_for_terminal(attribute))
        .append("=")
        .append(std::visit(InText{}, value));
    before = ", ";
  }
  return text;
}

std::string object_line(std::span<const ModuleFacts> object) {
  return object.front().class_name + " of " + plural(object.size(), "module", "modules");
}

std::span<const ModuleFacts> object_at(std::span<const ModuleFacts> modules, std::size_t begin) {
  std::size_t end = begin + 1;
  while (end < modules.size() && !modules[end].path.empty()) ++end;
  return modules.subspan(begin, end - begin);
}

void write_modules(JsonWriter& json, std::span<const ModuleFacts> modules) {
  json.key("modules");
  json.begin_array();
  for (const ModuleFacts& module : modules) {
    json.begin_object(JsonWriter::Lines::one);
    json.field("object", module.object);
    json.field("path", module.path);
    json.field("class", module.class_name);
    if (!module.source_file.empty()) json.field("source_file", module.source_file);
    json.key("attributes");
    json.begin_object();
    for (const auto& [name, value] : module.attributes) {
      json.key(name);
      std::visit(InJson{json}, value);
    }
    json.end_object();
    json.end_object();
  }
  json.end_array();
}

}  // namespace ferry::report
